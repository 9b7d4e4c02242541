"""Where the files of a cohort lie: BIDS-Derivatives names for pairs, files of the run; whether outputs are whole."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from warpline.cohort.json_files import write_json
from warpline.cohort.manifest import Pair
from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.zarr_names import is_zarr, store_of

DESCRIPTION = "dataset_description.json"
MANIFEST = "manifest.tsv"
RESULTS = "results.tsv"
FAILURES = "failures.tsv"
PROGRESS = "progress.json"
RUN = "run.json"
FIGURES = "figures"
IGNORED = ".bidsignore"
LOGS = "logs"
WORK = "work"
REPORT = "report"
SUMMARY = "summary"
CITATION = "CITATION.md"
PAGE = f"{REPORT}/index.html"
"""The page of the cohort."""
PAIR_PAGES = f"{REPORT}/pairs"

BIDS_VERSION = "1.11.0"

SUFFIXES = {
    **{name.lower(): name for name in ("T1w", "T2w", "FLAIR", "PDw", "T2starw", "inplaneT1", "inplaneT2", "PDT2")},
    **{name.lower(): name for name in ("UNIT1", "T1map", "T2map", "T2starmap", "R1map", "R2map", "PDmap", "MTsat")},
    **{"t1": "T1w", "t2": "T2w", "pd": "PDw", "t2star": "T2starw", "angio": "angio", "swi": "swi", "bold": "bold"},
}
"""Suffixes of BIDS, by what file names end with."""

_NOT_BIDS = (
    *("*_xfm.*", "*_desc-registration_qc.json", FIGURES, LOGS, REPORT, SUMMARY, WORK),
    *(MANIFEST, RESULTS, FAILURES, PROGRESS, RUN, CITATION),
)
"""Patterns of ``.bidsignore``: files that BIDS has no names for yet."""

LONGEST_NAME = 255
"""Bytes that file systems allow a name."""

_TEMPORARY = 14
"""Bytes that names grow by while their files are written."""

_ENTITIES = re.compile(r"(sub-[A-Za-z0-9]+)(_[a-zA-Z]+-[A-Za-z0-9+]+)*")
_SESSION = re.compile(r"_ses-([A-Za-z0-9+]+)")
_TEMPLATE = re.compile(r"tpl-([A-Za-z0-9+]+)(_|$)")
_ENDING = re.compile(r"(\.nii|\.mgz|\.mgh|\.img|\.hdr)?(\.gz)?$", re.IGNORECASE)
_SIDECAR_ENDING = "_desc-registration_qc.json"


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Folder and names of the outputs of one pair.

    Parameters
    ----------
    folder : str
        Relative to the output folder: ``sub-01/ses-1/anat``.
    stem : str
        What every name begins with: ``sub-01_ses-1``.
    source, space : str
        Labels of the moving and the fixed image.
    """

    folder: str
    stem: str
    source: str
    space: str

    @property
    def sidecar(self) -> str:
        """The file that means done, relative to the output folder."""
        return f"{self.folder}/{self.stem}_space-{self.space}{_SIDECAR_ENDING}"

    def names(self) -> dict[str, Path]:
        """What each file of the pair is, to its path relative to the output folder."""
        there = f"from-{self.source}_to-{self.space}_mode-image_desc"
        back = f"from-{self.space}_to-{self.source}_mode-image_desc"
        placed = f"space-{self.space}_desc-registered"
        endings = {
            "affine": f"{there}-affine_xfm.mat",
            "warp": f"{there}-warp_xfm.nii.gz",
            "inverse_warp": f"{back}-warp_xfm.nii.gz",
            "velocity": f"{there}-velocity_xfm.nii.gz",
            "uncertainty": f"{there}-uncertainty_xfm.nii.gz",
            "warped": f"{placed}_{self.source}.nii.gz",
            "warped_sidecar": f"{placed}_{self.source}.json",
            "warped_labels": f"{placed}_dseg.nii.gz",
            "warped_labels_sidecar": f"{placed}_dseg.json",
        }
        names = {kind: Path(self.folder, f"{self.stem}_{ending}") for kind, ending in endings.items()}
        thumbnail = Path(self.folder.partition("/")[0], FIGURES, f"{self.stem}_{placed}_{self.source}.webp")
        return {**names, "thumbnail": thumbnail, "report": Path(self.sidecar)}


def output_paths(pair: Pair) -> OutputPaths:
    """Where the outputs of a pair go: an id of BIDS entities stays as it is, others become one subject label."""
    found = _ENTITIES.fullmatch(pair.id)
    subject = found[1] if found else f"sub-{label_of(pair.id.removeprefix('sub-')) or label_of(pair.id)}"
    stem = pair.id if found else subject
    session = pair.session or next(iter(_SESSION.findall(stem)), "")
    if session and not _SESSION.search(stem):
        stem = f"{subject}_ses-{label_of(session)}{stem.removeprefix(subject)}"
    folder = f"{subject}/ses-{label_of(session)}/anat" if session else f"{subject}/anat"
    return OutputPaths(folder, stem, _suffix(pair.moving), label_of(pair.space) or _space(pair.fixed))


def check_output_paths(pairs: Iterable[Pair], outputs: Iterable[OutputPaths]) -> None:
    """Refuse pairs whose outputs would have the same names, also where upper and lower case are one, or too long ones.

    Raises
    ------
    UsageError
        When two would have the same names, naming both ids.
    InputError
        When names would be longer than file systems allow, naming the ids.
    """
    owners: dict[str, str] = {}
    long: list[str] = []
    for pair, paths in zip(pairs, outputs, strict=True):
        other = owners.setdefault(f"{paths.folder}/{paths.stem}".lower(), pair.id)
        if other != pair.id:
            raise UsageError(
                f"ids {other!r} and {pair.id!r} would both write {paths.folder}/{paths.stem}_*; rename one"
            )
        if _longest(pair, paths) > LONGEST_NAME:
            long.append(pair.id)
    if long:
        more = f" and {len(long) - 1} more" if len(long) > 1 else ""
        raise InputError(
            f"id {long[0][:40]!r}… ({len(long[0])} letters){more} would give files names of more than {LONGEST_NAME} "
            "bytes; shorten it in its row, or the name of the fixed image by --space"
        )


def _longest(pair: Pair, paths: OutputPaths) -> int:
    """Bytes of the longest name that a pair gives a file, while it is written."""
    names = (log_name(pair.id).removeprefix(f"{LOGS}/"), *(path.name for path in paths.names().values()))
    return max(len(os.fsencode(name)) for name in names) + _TEMPORARY


def page_name(sidecar: str) -> str:
    """The page of a pair, in `PAIR_PAGES`, by the path of its sidecar."""
    return f"{os.path.basename(sidecar).removesuffix(_SIDECAR_ENDING)}.html"


def log_name(id: str) -> str:
    """The record of a failed pair, relative to the output folder."""
    return f"{LOGS}/{id}.json"


def describe_dataset(folder: Path, sources: Iterable[str] = ()) -> None:
    """Write ``dataset_description.json`` where it is missing, and ``.bidsignore`` with what BIDS has no place for.

    Parameters
    ----------
    folder : Path
        The output folder.
    sources : iterable of str
        Labels of the moving images; those that are no suffix of BIDS are ignored by its validator.
    """
    ignored = folder / IGNORED
    there = ignored.read_bytes().splitlines() if ignored.exists() else []
    unknown = sorted(set(sources) - set(SUFFIXES.values()))
    wanted = [line.encode() for line in (*_NOT_BIDS, *(f"*_desc-registered_{source}.*" for source in unknown))]
    if missing := [line for line in wanted if line not in there]:
        write_atomic(ignored, b"\n".join((*there, *missing, b"")))
    path = folder / DESCRIPTION
    if path.exists():
        return
    description = {
        "Name": "Registrations",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "warpline", "Version": version("warpline")}],
    }
    write_json(path, description)


def _suffix(path: str) -> str:
    label = label_of(_stem(path).rpartition("_")[2]) or "moving"
    return SUFFIXES.get(label.lower(), label)


def _space(path: str) -> str:
    stem = _stem(path)
    found = _TEMPLATE.match(stem)
    return found[1] if found else label_of(stem) or "fixed"


def without_ending(path: str) -> str:
    """The path of an image without the endings of its format."""
    return _ENDING.sub("", path)


def _stem(path: str) -> str:
    return without_ending(os.path.basename(path))


def label_of(text: str) -> str:
    """The label that BIDS names have for a text: its ASCII letters and digits.

    Where letters of other alphabets are left out or lose their accents, eight digits of a checksum of the whole text
    follow, so that different texts keep different labels.
    """
    text = unicodedata.normalize("NFC", text)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if letter.isascii() and letter.isalnum())
    if all(letter.isascii() or not letter.isalnum() for letter in text):
        return plain
    return plain + hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


# -- files and what was written ---------------------------------------------------------------------------------------


def fingerprint(path: str) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns; (-1, 0) when there is no such file.

    Of a folder of OME-Zarr they are the sum and the latest of all that is in it.
    """
    store = store_of(path)
    try:
        stats = [os.stat(store)]
        if is_zarr(path):
            stats += [os.stat(os.path.join(place, name)) for place, _, names in os.walk(store) for name in names]
    except OSError:
        return -1, 0
    return sum(one.st_size for one in stats), max(one.st_mtime_ns for one in stats)


def checksum(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sizes_in(report: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each output by kind, from a sidecar."""
    return {kind: entry["bytes"] for kind, entry in (report.get("files") or {}).items()}


class OutputCheck:
    """Compares outputs with what was written: by size from one listing of each folder, cheap on network file systems.

    Parameters
    ----------
    root : Path
        The output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pair = ""
        self._listed: dict[Path, dict[str, int]] = {}

    def damage(self, paths: OutputPaths, sizes: Mapping[str, int]) -> str:
        """What is wrong with the first output of another size than was written; empty when nothing is."""
        if not sizes:
            return ""
        if self._pair != paths.folder:
            self._pair, self._listed = paths.folder, {}
        for kind, path in paths.names().items():
            size, found = sizes.get(kind), self._sizes(path.parent).get(path.name) if kind in sizes else None
            if found != size:
                return f"{path.name} is missing" if found is None else f"{path.name} holds {found} of {size} bytes"
        return ""

    def changed(self, paths: OutputPaths, report: Mapping[str, Any]) -> str:
        """What is wrong with the first output of another checksum than in its sidecar; empty when nothing is."""
        names = paths.names()
        for kind, entry in (report.get("files") or {}).items():
            try:
                if kind in names and checksum(str(self._root / names[kind])) != entry["sha256"]:
                    return f"{names[kind].name} has changed since it was written"
            except OSError as error:
                return f"{names[kind].name} cannot be read: {error.strerror}"
        return ""

    def _sizes(self, folder: Path) -> dict[str, int]:
        """Sizes of the files in a folder; only the folders of one pair are cached."""
        if folder not in self._listed:
            try:
                with os.scandir(self._root / folder) as entries:
                    self._listed[folder] = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            except OSError:
                self._listed[folder] = {}
        return self._listed[folder]
