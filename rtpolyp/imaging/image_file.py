"""Image files → pixels: the one decoder of runs, evaluation, preparation and training.

Pillow decodes, strictly: a file that was cut ends in an error where OpenCV 4 gives half a picture, and libav
reads a TIFF with JPEG compression as black. OpenCV decodes colours of 16 bits, which Pillow cuts to 8.
"""

import io
import warnings
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from rtpolyp.checks import known_beside
from rtpolyp.dicom.magic import is_dicom, require_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.jpeg_end import is_cut_jpeg

__all__ = [
    "MAX_PIXELS",
    "count_pages",
    "is_turned",
    "may_have_colours",
    "palette_indices",
    "read_image",
    "read_pages",
    "read_pixels",
]

# Pillow's plugins that may see a file's bytes: no EPS or PDF, which would start other programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 7680 * 4320  # 8K UHD: what a picture may declare before it is decoded
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr")
REDUCED = 254, 1  # TIFF's tag NewSubfileType: a smaller version of another page, as for a thumbnail
ORIENTATION = 0x0112  # EXIF
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TIFF_SIGNATURES = b"II*\0", b"MM\0*"
MATROSKA = b"\x1aE\xdf\xa3"
HEIF_BRANDS = (b"hei", b"hev", b"mif", b"msf")
GREY_AND_ALPHA = 2  # channels
# A 16-bit picture whose brightest value is below this was never scaled to 16 bits, and would be black.
BRIGHTEST_OF_16 = 4096

warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of a damaged file is raised here by name


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a colour image as `(H, W, 3) uint8 BGR`, in the file's own pixel grid.

    EXIF orientation is ignored, so that an image and its mask stay aligned; alpha is dropped; 16 bits a
    channel are scaled to 8. Raises InputError when the file is missing, cut, broken or grey, has several
    pages or frames, or declares more than `max_pixels`.
    """
    pages = read_pages(path, max_pixels=max_pixels)
    try:
        image = next(pages)
        if next(pages, None) is not None:
            raise InputError(f"{path}: holds {count_pages(path)} pictures; save each as a file of its own")
    finally:
        pages.close()
    return image


def read_pages(path: Path, *, max_pixels: int = MAX_PIXELS) -> Generator[NDArray[np.uint8], None, None]:
    """Read each page of a TIFF or frame of an animation as `read_image` reads a picture, one by one.

    Thumbnails beside a picture are left out, and of a phone's JPEG with several pictures all but the first.
    """
    for pixels in _decoded(path, max_pixels, single=False):
        yield _as_colour(path, pixels)


def read_pixels(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read what a file holds, for masks: grey `(H, W)`, BGR `(H, W, 3)` or BGRA `(H, W, 4)`.

    The type is uint8 or, as the file has it, uint16, int32 or float32. Raises InputError as `read_image`.
    """
    (pixels,) = _decoded(path, max_pixels, single=True)
    if pixels.ndim == 3 and pixels.shape[2] == GREY_AND_ALPHA:
        return pixels[:, :, (0, 0, 0, 1)]
    return pixels


def count_pages(path: Path) -> int:
    """How many pictures `read_pages` gives; 1 for a file that cannot be opened."""
    try:
        with path.open("rb") as file, _open(path, file) as image:
            return len(_pages(path, image))
    except (OSError, InputError):
        return 1


def may_have_colours(path: Path) -> bool:
    """Whether a file's header declares colours, or cannot be read; grey and bilevel files do not."""
    try:
        with path.open("rb") as file, _open(path, file) as image:
            return not image.mode.startswith(("1", "L", "I", "F"))
    except (OSError, InputError):
        return True


def palette_indices(path: Path) -> int:
    """How many entries of its palette a picture uses; 0 for a picture without one."""
    if is_dicom(path):
        return 0
    with path.open("rb") as file, _open(path, file) as image:
        return len(image.getcolors(256) or ()) if image.mode == "P" else 0


def is_turned(path: Path) -> bool:
    """Whether an EXIF tag asks to show the picture turned or mirrored."""
    try:
        with path.open("rb") as file, _open(path, file) as image:
            return image.getexif().get(ORIENTATION, 1) in range(2, 9)
    except Exception:  # whatever a broken tag raises: a picture without a usable one is not turned
        return False


def _decoded(path: Path, max_pixels: int, *, single: bool) -> Generator[NDArray[Any], None, None]:
    if is_dicom(path):
        yield _dicom_still(path, max_pixels)
        return
    try:
        with path.open("rb") as file:
            yield from _decoded_from(path, file, max_pixels, single=single)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {known_beside(path)}give an image") from None
    except OSError as exc:
        raise InputError(
            f"{path}: cannot be read ({exc.strerror or exc}); check the path and its rights"
        ) from exc


def _dicom_still(path: Path, max_pixels: int) -> NDArray[np.uint8]:
    require_dicom(path)
    from rtpolyp.dicom.pictures import read_still  # of the extra

    return read_still(path, max_pixels=max_pixels)


def _decoded_from(
    path: Path, file: io.BufferedReader, max_pixels: int, *, single: bool
) -> Generator[NDArray[Any], None, None]:
    with _open(path, file) as image:
        _check_size(path, image.size, max_pixels)
        if image.format == "PNG":
            _check_png(path)
        pages = _pages(path, image)
        if single and len(pages) > 1:
            raise InputError(f"{path}: holds {len(pages)} pictures; save each as a file of its own")
        for page in pages:
            try:
                image.seek(page)
                _check_size(path, image.size, max_pixels)
                if image.format == "TIFF":
                    image.getexif().pop(ORIENTATION, None)  # or Pillow turns the pixels, of TIFF alone
                pixels = _pixels(path, image, page)
                if image.format == "JPEG" and is_cut_jpeg(path, image, pixels):
                    raise InputError(f"{path}: is cut or broken (no end of data); copy or export it again")
            except InputError:
                raise
            except Exception as exc:  # as in _open
                raise InputError(f"{path}: {_damage(exc)}; copy or export it again") from exc
            yield pixels


def _open(path: Path, file: io.BufferedReader) -> ImageFile.ImageFile:
    if is_dicom(path):  # whose preamble may be a TIFF's beginning
        raise InputError(f"{path}: a DICOM object, one picture without EXIF")
    try:
        image = Image.open(file, formats=FORMATS)
        image.seek(0)
        return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise InputError(f"{path}: declares too many pixels ({exc}); give a smaller picture") from exc
    except Exception as exc:  # a decoder raises anything on foreign bytes: struct.error, KeyError …
        raise InputError(f"{path}: {_what_else(path)}") from exc


def _what_else(path: Path) -> str:
    """What a file is that is no image by its content, and the remedy."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:11] in HEIF_BRANDS:
        return "holds HEIC, which is not read; convert it to PNG or JPEG"
    if (head[4:8] == b"ftyp" and head[8:11] != b"avi") or head[:4] == MATROSKA or head[8:] == b"AVI ":
        return "holds a video; name it after what it is, e.g. *.mp4"
    if head[:4] in TIFF_SIGNATURES:
        return "not a readable image: a cut TIFF, or one of a kind like floating point; export it as PNG"
    return f"not a readable image ({path.stat().st_size} bytes); copy or export it again"


def _check_png(path: Path) -> None:
    """Raise InputError where a PNG's last chunk is not there, or one was changed: Pillow shows half of it."""
    content = path.read_bytes()
    at = len(PNG_SIGNATURE)
    while (end := at + 12 + int.from_bytes(content[at : at + 4], "big")) <= len(content) and at + 12 <= end:
        kind, checksum = content[at + 4 : at + 8], int.from_bytes(content[end - 4 : end], "big")
        if kind[:1].isupper() and zlib.crc32(content[at + 4 : end - 4]) != checksum:
            raise InputError(f"{path}: is cut or broken (wrong checksum); copy or export it again")
        if kind == b"IEND":
            return
        at = end
    raise InputError(f"{path}: is cut or broken (no end mark); copy or export it again")


def _pages(path: Path, image: ImageFile.ImageFile) -> list[int]:
    """The numbers of the pages that are pictures of their own."""
    try:
        return _pages_of(image)
    except Exception as exc:  # as in _open
        raise InputError(f"{path}: {_damage(exc)}; copy or export it again") from exc


def _pages_of(image: ImageFile.ImageFile) -> list[int]:
    count = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if image.format != "TIFF" or count == 1:
        return list(range(count))
    tag, reduced = REDUCED
    pages = []
    for page in range(count):
        image.seek(page)
        if not image.tag_v2.get(tag, 0) & reduced:  # type: ignore[attr-defined]
            pages.append(page)
    return pages or [0]


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise InputError(
            f"{path}: declares {size[0]}x{size[1]} pixels, and {max_pixels:,} are allowed; scale it down"
        )


def _pixels(path: Path, image: ImageFile.ImageFile, page: int) -> NDArray[Any]:
    mode = image.mode
    if mode in ("RGB", "RGBA") and _is_deep(image):
        return _decode_deep(path, page)
    if mode in ("LA", "La"):
        return np.asarray(image.convert("LA"))
    if mode in ("1", "L"):
        return _array(image.convert("L"), "L", 1)
    if mode.startswith("I;16") or mode in ("I", "F"):
        return np.asarray(image)
    if mode in ("PA", "RGBA", "RGBa") or (mode in ("P", "RGB") and "transparency" in image.info):
        return np.asarray(cv2.cvtColor(np.asarray(image.convert("RGBA")), cv2.COLOR_RGBA2BGRA))
    if mode not in COLOUR_MODES:
        raise InputError(f"{path}: colours of the kind {mode}; convert it to RGB")
    return _array(image.convert("RGB"), "BGR", 3)


def _array(image: Image.Image, layout: str, channels: int) -> NDArray[np.uint8]:
    """The pixels of an image; not by NumPy's protocol, which takes longer than a JPEG's decoding."""
    shape = (image.height, image.width, channels) if channels > 1 else (image.height, image.width)
    return np.frombuffer(image.tobytes("raw", layout), np.uint8).reshape(shape).copy()


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has 16 bits a channel, of which Pillow would keep the upper 8."""
    return any(";16" in str(tile[3]) for tile in image.tile)


def _decode_deep(path: Path, page: int) -> NDArray[Any]:
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    if page:
        _, pages = cv2.imdecodemulti(encoded, flags)
        pixels = pages[page] if len(pages) > page else None
    else:
        pixels = cv2.imdecode(encoded, flags)
    if pixels is None:
        raise InputError(f"{path}: 16 bits a channel in a form that is not read; convert it to 8 bits")
    return np.asarray(pixels)


def _as_colour(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.ndim != 3 or pixels.shape[2] == GREY_AND_ALPHA:
        raise InputError(f"{path}: a grey image, but the network needs colour; give the colour original")
    pixels = pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        brightest = int(pixels.max())
        if brightest < BRIGHTEST_OF_16:
            raise InputError(
                f"{path}: 16 bits a channel, but no value above {brightest} of 65535, which is black; "
                "scale it to 8 bits"
            )
        pixels = (pixels // 257).astype(np.uint8)
    return np.ascontiguousarray(pixels, np.uint8)


def _damage(exc: Exception) -> str:
    """What is wrong with a file, in words; decoders' own are kept where they say something."""
    text = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return f"is cut or broken ({text})"
