"""kind_of: what an upload is, by its first bytes; its name says nothing, since it never gets here."""

__all__ = ["HEAD_BYTES", "IMAGES", "kind_of"]

HEAD_BYTES = 512
IMAGES = (".bmp", ".jpg", ".png", ".tif", ".webp")
PACKET = 188  # bytes, of an MPEG transport stream


def kind_of(head: bytes) -> str | None:
    """The extension of a picture or a video that begins with `head`; None for anything else.

    Playlists and texts, which could name other files, are none of them.
    """
    for magic, extension in (
        (b"\x89PNG\r\n\x1a\n", ".png"),
        (b"\xff\xd8\xff", ".jpg"),
        (b"BM", ".bmp"),
        (b"II*\x00", ".tif"),
        (b"MM\x00*", ".tif"),
        (b"\x1aE\xdf\xa3", ".mkv"),
        (b"\x00\x00\x01\xba", ".mpg"),
    ):
        if head.startswith(magic):
            return extension
    if head[:4] == b"RIFF":
        return {b"WEBP": ".webp", b"AVI ": ".avi"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return None if head[8:12] in (b"avif", b"heic", b"mif1") else ".mp4"
    if len(head) > PACKET and head[0] == head[PACKET] == 0x47:
        return ".ts"
    return None
