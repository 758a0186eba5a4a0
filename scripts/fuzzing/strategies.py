"""Hypothesis's part: malformed values, and good content with some of them in it."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
_EXTRA = "fuzz.py needs hypothesis: pip install 'desra[test]'"
try:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st
except ModuleNotFoundError as missing:
    raise SystemExit(_EXTRA) from missing

Path = tuple[Any, ...]
#: Paths: good ones at the wrong place, and bad ones. None is absolute: what is written stays here.
PATHS = (
    *("", ".", "..", "~", "~/x", "missing", "lq", "lq/p0.png", "gan.pth", "before", "masks"),
    *("names.txt", "out", "before/coco.json", "embedded:gan", "embedded:finetune", "/dev/null"),
    *("a\0b", "n" * 300, "d/" * 3000, "a\nb", "\x1b[31mred", "ümläut", " ", "-o", "*.png"),
)
NUMBERS = (0, -1, 1, 2, 3, 7, 10**6, 2**31, 2**63, 2**64, -(2**63), 10**30)
FLOATS = (0.0, -0.0, 0.5, -0.5, 1.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"))
WORDS = (
    *("true", "None", "null", "no", "1", "1e5", "0x10", "auto", "cuda", "cuda:99", "meta", "fp16"),
    *("png", "L1Loss", "GANLoss", "SRVGGNetCompact", "RRDBNet", "EDSR", "Adam", "LBFGS", "psnr"),
    *("evidence", "ldl", "local_ssim", "labels", "segformer", "px", "{}", "[", "(", "%s", "$x"),
)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).map(
    lambda word: word.lstrip("/")
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(-20, 20),
    st.sampled_from(FLOATS),
    st.floats(-4, 4, width=16),
    st.sampled_from(WORDS),
    st.sampled_from(PATHS),
    text,
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(text.filter(bool), inner, max_size=3)
    ),
    max_leaves=5,
)


def drawn(strategy: "st.SearchStrategy[T]", count: int, seed: int) -> list[T]:
    """Draw ``count`` values, the same ones for the same seed."""
    result: list[T] = []
    while len(result) < count:
        begun = len(result)

        @seeded(seed)
        @settings(
            max_examples=count - begun,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def collect(value: T) -> None:
            result.append(value)

        collect()
        seed += 1_000_003
    return result[:count]


def places(content: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the path of each value inside of nested dictionaries and lists."""
    pairs: Any = ()
    if isinstance(content, dict):
        pairs = content.items()
    elif isinstance(content, list):
        pairs = enumerate(content)
    for key, value in pairs:
        yield (*above, key)
        yield from places(value, (*above, key))


def inner(content: Any, path: Path) -> Any:
    """Return the value at a path."""
    for key in path:
        content = content[key]
    return content


@st.composite
def malformed(draw: Callable[..., Any], content: Any, values: Any = values) -> Any:
    """Draw nested content with one to three changes: a value replaced, a key removed or added."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        if not (known := list(places(content))):
            return draw(values)
        *above, last = draw(st.sampled_from(known))
        place = inner(content, tuple(above))
        what = draw(st.sampled_from(("replace", "replace", "replace", "remove", "add", "like")))
        if what == "replace":
            place[last] = draw(values)
        elif what == "like":
            place[last] = draw(like(place[last]))
        elif what == "remove":
            del place[last]
        elif isinstance(place, dict):
            place[draw(st.one_of(text, st.sampled_from(("type", "weight", "scale"))))] = draw(
                values
            )
        else:
            place.append(draw(values))
    return content


def like(value: Any) -> Any:
    """Return a strategy of values that are close to a good one: its type, or its text."""
    if isinstance(value, bool):
        return st.sampled_from((not value, int(value), str(value)))
    if isinstance(value, int | float):
        near = (-value, value + 1, value * 10**6, str(value), float(value), [value], value + 0.5)
        return st.sampled_from(near)
    if isinstance(value, str):
        return st.sampled_from((value + "x", value.upper(), value[:-1], [value], {"type": value}))
    return st.sampled_from(([value], None, {"0": value}, [], {}))


#: libyaml's where it is there: ten times as quick.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
#: Text that YAML does strange things with; ``{}`` stands for the good text.
YAML_HAZARDS = (
    *("{}\nmask: !!int abc\n", "{}\nmask: 2024-13-45\n", "{}\nmask: {{threshold: 2024-01-01}}\n"),
    *("base: &b {{a: 1}}\nmask:\n  <<: *b\n{}", "{}\nmask: {{<<: [1, 2]}}\n", "{}\n? [a]\n: b\n"),
    *("\ufeff{}", "{}\n\t- x", "{}\0", "{}\n...\n---\n{}", "{}\n{}", "{}\nval:\nmask:\nsegment:\n"),
    *("{}\nmask: {{min_area: .inf}}\n", "{}\nmanual_seed: -1\n", "{}\nmask: *nothing\n", "", "- a"),
    *("{}\nmask: !!python/object/apply:os.getcwd []\n", "{}\nmask: !!binary =\n", "a", "null", "%"),
    *("{}\nmask: !!timestamp x\n", "{}\nmask: !!set {{a}}\n", "{}\nmask: !!omap [a]\n", "{}\n1: 2"),
    "{}\nmask: &r [*r]\n",
    "{}\nmask: {{threshold: " + "9" * 5000 + "}}\n",
    "{}\nmask: " + "[" * 3000 + "]" * 3000 + "\n",
    "{}\nmask: " + "{{a: " * 1500 + "1" + "}}" * 1500 + "\n",
    "{}\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10)),
)


def yaml_of(content: Any) -> str:
    """Return content as YAML."""
    return yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)


def corrupted(content: bytes, rng: random.Random) -> bytes:
    """Return a file's content, cut, with changed bytes, with others before or in the middle."""
    at = rng.randrange(len(content) + 1)
    match rng.randrange(9):
        case 0:
            return content[:at]
        case 1:
            return b""
        case 2:
            return b"\xef\xbb\xbf" + content
        case 3:
            return content[:at] + rng.randbytes(rng.choice((1, 8, 200))) + content[at:]
        case 4:
            return rng.randbytes(200)
        case 5:
            return content.replace(b"\n", b"\r\n") if b"\n" in content else content * 2
        case 6:
            return content[:at] + content[at + rng.choice((1, 5, 100)) :]
        case 7:
            return content + rng.randbytes(20)
        case _:
            bytes_ = bytearray(content)
            for _ in range(rng.choice((1, 3, 30))):
                bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
            return bytes(bytes_)


#: JSON that is no file of the kind, or hard to read.
JSON_HAZARDS = (
    *(b"", b"null", b"[]", b"{}", b"1", b'"x"', b"NaN", b"\xff\xfe{}", b"{" * 10**5),
    *(b"[" * 10**5, b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900),
    *(b'{"shapes": ' + b"9" * 5000 + b"}", b"\0", b'{"images": 1e999}', b'{"\\ud800": "\\ud800"}'),
)


def json_of(content: Any) -> bytes:
    """Return content as JSON; what JSON has no text for becomes Python's NaN and Infinity."""
    return json.dumps(content).encode()
