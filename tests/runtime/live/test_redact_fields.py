from pathlib import Path

from rtpolyp.live.redact_fields import redact_fields

SECRET = "hunter2"


def test_credentials_go_from_every_url_in_every_text() -> None:
    fields = {
        "source": f"rtsp://admin:{SECRET}@10.0.0.5/live",
        "reason": f"rtsp://admin:{SECRET}@10.0.0.5/live: timed out; http://cam/?token={SECRET} as well",
        "nested": {"list": [1, None, True, f"HTTP://u:{SECRET}@h/"], "path": Path("/videos/a.mp4")},
    }
    hidden = redact_fields(fields)
    assert SECRET not in str(hidden)
    assert "10.0.0.5/live: timed out" in str(hidden["reason"])
    assert hidden["nested"] == {"list": [1, None, True, "HTTP://***@h/"], "path": "/videos/a.mp4"}


def test_what_is_no_url_stays() -> None:
    fields = {"text": "AI REDUCED: every 2nd frame", "rate": 29.97, "frames": 3, "drive": r"C:\videos\a.mp4"}
    assert redact_fields(fields) == fields
