"""`Encoder`: the third tier, a small transformer run by onnxruntime, loaded from a folder that says what it is.

The folder holds `manifest.toml`, the model and its vocabulary. Nothing is run before the hashes fit and the model
has the inputs, the output and the answer that its manifest promises. onnxruntime and numpy are imported when a model
is opened, not before.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

from sift_fast.classifier.wordpiece import BEGIN, END, WordPiece
from sift_fast.errors import ConfigError
from sift_fast.types import Value

if TYPE_CHECKING:
    from sift_fast import _core

#: What the folder of a model must hold.
MANIFEST = "manifest.toml"
FORMAT = "sift-fast-encoder/1"

# A slice is what the n-grams are asked about before the encoder is; 400 characters are about 100 tokens of English.
_SLICE, _STEP = 400, 280
# Windows overlap by so many tokens: an attack that short lies whole in one of them.
_OVERLAP = 32
_MOST_BYTES = 64 << 20


@final
class Band(Value):
    """Which scores of the first two tiers are asked about, and what the encoder's answer adds to them.

    All are log-odds. A text whose rules and n-grams say at most `low` is harmless, above `high` it is an attack; in
    between the encoder adds `weight` times what its answer is above `offset`, never less than nothing and at most
    `most`.

    Args:
        low: see above.
        high: see above.
        weight: see above; not negative.
        offset: see above.
        most: see above; not negative.
        threshold: log-odds above which a text is an attack unless a calibration says otherwise.

    Raises:
        ConfigError: a number is not finite, or the band is empty, or the encoder could lower a score.
    """

    __slots__ = ("low", "high", "weight", "offset", "most", "threshold")  # noqa: RUF023 -- order of arguments

    low: float
    high: float
    weight: float
    offset: float
    most: float
    threshold: float

    def __init__(self, low: float, high: float, weight: float, offset: float, most: float, threshold: float) -> None:
        values: tuple[object, ...] = (low, high, weight, offset, most, threshold)
        for name, value in zip(self.__slots__, values, strict=True):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ConfigError(f"`{name}` of a band must be a finite number")
            object.__setattr__(self, name, float(value))
        if low >= high or weight < 0 or most < 0:
            raise ConfigError("a band has `low` below `high`, and neither `weight` nor `most` is negative")

    def holds(self, logit: float) -> bool:
        """Whether the encoder is to be asked about a text with these log-odds."""
        return self.low < logit <= self.high

    def added(self, answer: float) -> float:
        """What an answer of the encoder adds to the log-odds."""
        return min(max(0.0, self.weight * (answer - self.offset)), self.most)


class Judgement(NamedTuple):
    """What the encoder said of a text: log-odds of its worst window, None if no window had anything to read."""

    logit: float | None
    #: Whether suspicious windows were left unread: there were more than `Encoder.windows` of them.
    unread: bool
    #: How many windows were read.
    windows: int


class Encoder:
    """A model that was checked, ready to judge texts. Shared by threads.

    Example:
        >>> encoder = Encoder.open("models/injection-encoder")  # doctest: +SKIP
        >>> encoder.judge(["nothing to see here"])[0].logit < 0  # doctest: +SKIP
        True
    """

    __slots__ = ("_ngrams", "_numpy", "_session", "_vocabulary", "_window", "band", "hash", "name", "windows")

    #: SHA-256 of the manifest, which holds those of everything else.
    hash: str
    name: str
    band: Band
    #: Most windows that are read of one text.
    windows: int

    def __init__(
        self, manifest: dict[str, Any], digest: str, session: Any, words: Sequence[str], ngrams: _core.NgramScorer
    ) -> None:
        import numpy as np

        self._numpy: Any = np
        self._session = session
        self._ngrams = ngrams
        self._vocabulary = WordPiece(words)
        self.hash = digest
        try:
            self.name = str(manifest["name"])
            self._window = int(manifest["window_tokens"])
            self.windows = int(manifest["windows"])
            self.band = Band(**manifest["band"])
        except (KeyError, TypeError, ValueError):
            raise ConfigError("the manifest of the encoder is incomplete: export the model again") from None
        if not 16 <= self._window <= 256 or not 1 <= self.windows <= 256:
            raise ConfigError("an encoder reads windows of 16 to 256 tokens, 1 to 256 of them")
        if manifest.get("ngrams_sha256") != ngrams.hash:
            raise ConfigError("the encoder was made for other n-gram weights than this version has: export it again")

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, ngrams: _core.NgramScorer | None = None, sha256: str | None = None
    ) -> Encoder:
        """Load a model from a folder, and run it once.

        Args:
            folder: with `manifest.toml` and the files that it names.
            ngrams: the scorer of the second tier; None for the one that is built in.
            sha256: expected hash of the manifest, in hexadecimal digits; None takes the folder's word for it.

        Raises:
            ConfigError: onnxruntime is not installed; the manifest, a hash, or what the model takes and gives is
                another than it should be, or a file cannot be read.
        """
        import tomllib

        from sift_fast import _core

        raw = _read(os.path.join(folder, MANIFEST))
        digest = hashlib.sha256(raw).hexdigest()
        if sha256 is not None and sha256.lower() != digest:
            raise ConfigError("the manifest of the encoder has another hash than expected: nothing was loaded")
        try:
            manifest = tomllib.loads(raw.decode("utf-8"))
            formed = manifest["format"] == FORMAT
            files = [(str(manifest[kind]["file"]), str(manifest[kind]["sha256"])) for kind in ("model", "vocabulary")]
        except (KeyError, TypeError, ValueError):
            raise ConfigError("the folder has no manifest of an encoder: export the model again") from None
        if not formed:
            raise ConfigError("the manifest of the encoder has another format: export the model again")
        contents = []
        for name, expected in files:
            if os.path.basename(name) != name or name in {"", ".", ".."}:
                raise ConfigError("the manifest of the encoder names a file outside of its folder")
            content = _read(os.path.join(folder, name))
            if hashlib.sha256(content).hexdigest() != expected:
                raise ConfigError(
                    f"`{name}` of the encoder has another hash than its manifest says: nothing was loaded"
                )
            contents.append(content)
        session = _session(contents[0])
        try:
            words = contents[1].decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise ConfigError("the vocabulary of the encoder is not UTF-8: export the model again") from None
        encoder = cls(
            manifest, digest, session, words[:-1] if words[-1] == "" else words, ngrams or _core.NgramScorer()
        )
        encoder._warm()
        return encoder

    def _warm(self) -> None:
        """The longest and the shortest window: a model that cannot do these is refused now and not under traffic."""
        longest = [len(self._vocabulary) - 1] * (self._window - 2)
        try:
            for window in (longest, [BEGIN]):
                self._logit(window)
        except Exception as error:  # noqa: BLE001 -- whatever its operators raise
            raise ConfigError(
                f"the encoder cannot judge windows of its own size ({type(error).__name__}): export the model again"
            ) from None

    def judge(self, texts: Sequence[str]) -> list[Judgement]:
        """The worst window of each text, in order.

        Args:
            texts: of any length. Slices of 400 characters that the n-grams do not suspect are not read: the time
                grows with suspicious slices, up to `windows`, and only by microseconds a kilobyte with the rest.
        """
        out = []
        for text in texts:
            windows, unread = self._windows(text)
            # One by one: the bytes of a batch share their scale, so what somebody else sends would move this score.
            best = max(map(self._logit, windows), default=None)
            out.append(Judgement(best, unread, len(windows)))
        return out

    def _windows(self, text: str) -> tuple[list[list[int]], bool]:
        """Tokens of the windows to read, worst slice first, and whether some are left out."""
        slices = [text] if len(text) <= _SLICE else [text[at : at + _SLICE] for at in _starts(len(text), _SLICE, _STEP)]
        scored = self._ngrams.score_batch(slices, 1) if len(slices) > 1 else [self._ngrams.score(text)]
        order = sorted(range(len(slices)), key=lambda at: -scored[at][0])
        room = self._window - 2
        windows: list[list[int]] = []
        unread = False
        for rank, at in enumerate(order):
            logit, _, _, decoded, _ = scored[at]
            # The worst slice is read whatever it says: what is suspicious about the text may lie across two.
            if rank and logit <= self.band.low:
                break
            if decoded and logit > self.band.low:
                # What is written there is not what is meant. The n-grams have read the latter; the encoder cannot.
                continue
            if len(windows) >= self.windows:
                unread = True
                break
            ids = self._vocabulary.encode(slices[at])
            if not ids:
                continue
            parts = [ids[start : start + room] for start in _starts(len(ids), room, room - _OVERLAP)]
            unread = unread or len(windows) + len(parts) > self.windows
            windows += parts[: self.windows - len(windows)]
        return windows, unread

    def _logit(self, window: Sequence[int]) -> float:
        ids = self._numpy.array([[BEGIN, *window, END]], dtype=self._numpy.int64)
        answer = self._session.run([_OUTPUT], {_IDS: ids, _MASK: self._numpy.ones_like(ids)})[0]
        if answer.shape != (1,) or not math.isfinite(answer[0]):
            raise ValueError("one finite number for a window")
        return float(answer[0])

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, hash='{self.hash[:12]}')"


_IDS, _MASK, _OUTPUT = "ids", "mask", "logits"


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where windows of this size begin so that everything is in one; the last one ends where the text ends."""
    if length <= size:
        return [0]
    return [*range(0, length - size, step), length - size]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigError(
            f"`{path}` of the encoder cannot be read: {reason}; `model` names a folder with {MANIFEST}, such as "
            "models/injection-encoder of the repository"
        ) from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"`{os.path.basename(path)}` of the encoder is larger than {_MOST_BYTES >> 20} MB")
    return content


#: Rewritings of the graph that make it slower: a sum and a norm take a third of what both in one take.
_SLOWER = ["SkipLayerNormFusion"]


def _session(model: bytes) -> Any:
    """A session of one thread: calls run beside one another on a pool of ours, which knows how many there are."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError("an encoder needs onnxruntime: `pip install onnxruntime`") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin while they wait take a core from the service that they protect.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER
        )
    except Exception as error:  # noqa: BLE001 -- its exceptions have no common root
        raise ConfigError(f"the encoder's model cannot be loaded ({type(error).__name__}): export it again") from None
    takes = {item.name: (item.type, len(item.shape)) for item in session.get_inputs()}
    gives = {item.name: (item.type, len(item.shape)) for item in session.get_outputs()}
    if takes != {_IDS: ("tensor(int64)", 2), _MASK: ("tensor(int64)", 2)} or gives != {_OUTPUT: ("tensor(float)", 1)}:
        raise ConfigError(
            f"the encoder's model must take `{_IDS}` and `{_MASK}` and give `{_OUTPUT}`: it is another model"
        )
    return session
