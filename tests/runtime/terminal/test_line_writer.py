"""Text for a reader that does not read."""

import io
import logging
import os
import time

from rtpolyp.terminal.line_writer import LineWriter, logging_to
from tests.runtime.processes import wait_until


def test_a_stream_without_descriptor_gets_everything_in_order():
    stream = io.StringIO()
    with LineWriter(stream) as writer:
        for number in range(100):
            print(number, file=writer)
    assert stream.getvalue().split() == list(map(str, range(100)))


def test_nobody_waits_for_a_full_pipe_and_what_is_left_out_is_counted():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        writer, begun = LineWriter(stream, capacity=10), time.monotonic()
        for number in range(500):
            writer.write(f"{number:04d} {'x' * 995}\n")
        assert time.monotonic() - begun < 1.0
        assert writer.left_out > 300
        begun = time.monotonic()
        writer.close()
        assert time.monotonic() - begun < 1.0
        os.set_blocking(reading, False)
        text = b""

        def all_read() -> bool:
            nonlocal text
            text += reader.read() or b""
            return b"left out" in text

        wait_until(all_read)
        lines = text.decode().splitlines()
        (told,) = [line for line in lines if "left out" in line]
        assert told == f"({writer.left_out} lines left out: nobody read them)"
        numbers = [int(line.split()[0]) for line in lines if line != told]
        assert numbers == sorted(numbers)
        assert len(numbers) == 500 - writer.left_out


def test_a_closed_stream_and_a_reader_that_is_gone_are_no_errors():
    with LineWriter(None) as writer:
        print("nobody hears this", file=writer)
        assert not writer.isatty()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream, LineWriter(stream) as writer:
        print("nor this", file=writer)


def test_a_log_line_is_one_line_whatever_stands_in_it(monkeypatch):
    stream, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with LineWriter(stream) as writer, logging_to(writer, "rtpolyp: %(message)s"):
        logging.getLogger("rtpolyp.somewhere").warning("%s: odd", "a\x1b[2J\nb\u202e")
    assert stream.getvalue() == "rtpolyp: a\\x1b[2J\\nb\\u202e: odd\n"
    assert root.handlers == []
