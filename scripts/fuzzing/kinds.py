"""The kinds of cases: for each a function of the good files, a count and a seed."""

import base64
import copy
import inspect
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fuzzing import checkpoints, ground, pictures
from fuzzing.case import Case
from fuzzing.strategies import (
    FLOATS,
    JSON_HAZARDS,
    NUMBERS,
    PATHS,
    YAML_HAZARDS,
    corrupted,
    drawn,
    json_of,
    malformed,
    places,
    st,
    values,
    yaml_of,
)

Make = Callable[[Path, int, int], list[Case]]
_MODULES = {
    "detect": "DetectOptions",
    "upscale": "UpscaleOptions",
    "train": "TrainOptions",
    "evaluate": "EvaluateOptions",
    "report": "ReportOptions",
    "sweep": "SweepOptions",
    "calibrate": "CalibrateOptions",
    "run": "RunOptions",
    "app": "AppOptions",
}


LABELS = {"type": "labels", "labels": "labels", "names": "names.txt"}
#: What stages keep for themselves in their folders.
OWN_FILES = ("options.yml", "manifest.jsonl", "coco.json", "labelme/p0.json", ".desra_detect.jsonl")
TRAINING_FILES = (
    "training_states/latest.state",
    "models/net_g_latest.pth",
    "options.yml",
    ".desra_train.jsonl",
    "losses.csv",
)
RUN_FILES = (
    "lineage.json",
    "rounds.json",
    "options.yml",
    "net_g.pth",
    "images/finetuned/p0.png",
    "images/heldout/p0.png",
    "round_1/train/models/net_g_latest.pth",
    "original/finetuned/manifest.jsonl",
    ".desra_run.jsonl",
)
FINETUNING = ground.FINETUNING


def _files(options: dict[str, Any], files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Return the options as a file, and others."""
    return {"case.yml": yaml_of(options).encode(), **files}


def _command(
    kind: str, stage: str, options: dict[str, Any], files: dict[str, bytes | None], *argv: str
) -> Case:
    """Return a case of good options, in whose files the fault is."""
    return Case(kind, stage, ("-opt", "case.yml", *argv), _files(options, files))


def _with(options: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return options with some keys changed; ``a__b`` is the key b of the section a."""
    result = copy.deepcopy(options)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = result
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return result


# ----------------------------------------------------------------------------------------- options


def options_of(stage: str) -> Make:
    """Return the maker of a stage's cases: malformed options, two thirds of them checked only."""

    def make(good: Path, count: int, seed: int) -> list[Case]:
        module = __import__(f"desra.options.{stage}", fromlist=["x"])
        from desra.options.loading import parse, resolved

        base = ground.OPTIONS[stage]
        full = resolved(parse(getattr(module, _MODULES[stage]), base, stage))
        rng = random.Random(seed)
        cases: list[Case] = []
        contents = drawn(st.one_of(malformed(base), malformed(full)), count, seed)
        for number, content in enumerate(contents):
            argv = ["-opt", "case.yml"]
            if rng.random() < 0.15:
                hazard = rng.choice(YAML_HAZARDS)
                text = hazard.format(*[yaml_of(base)] * hazard.count("{}"))
            elif rng.random() < 0.1:
                text = yaml_of(base)
                path = ":".join(map(str, rng.choice(list(places(full)))))
                argv += [
                    "--force_yml",
                    f"{path}={rng.choice((*PATHS, *NUMBERS, *FLOATS, '[', '&'))}",
                ]
            else:
                text = yaml_of(content)
            if number % 3 or stage == "app":
                argv.append("--check")
            file = text.encode("utf-8", "surrogatepass")
            output = content.get("output") if isinstance(content, dict) else None
            writes = ("out", *_own_outputs(stage, str(output)))
            cases.append(Case(f"options {stage}", stage, tuple(argv), {"case.yml": file}, writes))
        return cases

    return make


def classes(good: Path, count: int, seed: int) -> list[Case]:
    """Registered classes by name, with arguments of any type, in a training."""
    from torch import optim

    from desra.registry import (
        ARCH_REGISTRY,
        DATASET_REGISTRY,
        LOSS_REGISTRY,
        MODEL_REGISTRY,
        find,
    )

    find(ARCH_REGISTRY, "SRVGGNetCompact", "")
    by_name: dict[str, dict[str, Any]] = {
        "network_g": dict(iter(ARCH_REGISTRY)),
        "datasets:train": dict(iter(DATASET_REGISTRY)),
        "train:losses:pix": dict(iter(LOSS_REGISTRY)),
        "train:optim_g": {k: v for k, v in vars(optim).items() if inspect.isclass(v)},
        "train:scheduler": {
            k: v for k, v in vars(optim.lr_scheduler).items() if inspect.isclass(v)
        },
        "network_d": dict(iter(ARCH_REGISTRY)),
        "model_type": dict(iter(MODEL_REGISTRY)),
    }
    rng = random.Random(seed)
    pool = drawn(values, count * 3, seed)
    near = (0, 1, 2, 3, -1, 0.5, "x", None, True, [1], {"a": 1}, [0.9, 0.99])
    cases: list[Case] = []
    for _ in range(count):
        path = rng.choice(list(by_name))
        keys, registered = path.split(":"), by_name[path]
        options = copy.deepcopy(ground.OPTIONS["train"])
        section: Any = options
        for key in keys[:-1]:
            section = section[key]
        name = rng.choice(sorted(registered))
        if path == "model_type":
            section[keys[-1]] = name
        else:
            own = dict(section.get(keys[-1]) or {})
            if rng.random() < 0.6:
                own = {"type": name} if rng.random() < 0.5 else own | {"type": name}
            known = _arguments(registered.get(str(own.get("type")).removesuffix("_basicsr"), None))
            for _ in range(rng.choice((0, 1, 1, 2))):
                argument = rng.choice(known or ["x"])
                own[argument] = rng.choice(near) if rng.random() < 0.6 else rng.choice(pool)
            section[keys[-1]] = own
        if path == "network_d" or str(options["train"]["losses"]["pix"].get("type")) == "GANLoss":
            options.setdefault("network_d", {"type": "PatchDiscriminator", "num_feat": 4})
            options["train"]["optim_d"] = {"type": "Adam"}
            options["train"]["losses"]["gan"] = {"type": "GANLoss", "gan_type": "vanilla"}
        if path == "network_g":
            options["path"].pop("pretrain_network_g", None)
        cases.append(_command("classes", "train", options, {}))
    return cases


def _arguments(registered: Any) -> list[str]:
    try:
        names = list(inspect.signature(registered).parameters)
    except (TypeError, ValueError):
        return []
    return [name for name in names if name not in ("self", "args", "kwargs", "params")]


# ------------------------------------------------------------------------------------ JSON of desra


def _malformed_rows(content: bytes, count: int, seed: int) -> list[bytes]:
    """Return manifests of which one row is malformed."""
    rows = [json.loads(line) for line in content.splitlines()]
    rng = random.Random(seed)
    manifests: list[bytes] = []
    for changed in drawn(st.one_of(*(malformed(row) for row in rows)), count, seed):
        at = rng.randrange(len(rows))
        lines = [json_of(row) for row in rows]
        lines[at] = json_of(changed)
        if rng.random() < 0.1:
            lines[at] = rng.choice(JSON_HAZARDS)
        file = b"\n".join(lines) + b"\n"
        manifests.append(corrupted(file, rng) if rng.random() < 0.1 else file)
    return manifests


def _readers(folder: str) -> list[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Return the stages that read the results in a folder, their options, what they may change."""
    options = ground.OPTIONS
    finetuning = _with(ground.FINETUNING, val={"dataroot": folder, "val_freq": 1})
    again = _with(options["detect"], output=folder)
    return [
        ("detect", again, ("out", folder)),
        ("evaluate", options["evaluate"], ("out",)),
        ("report", options["report"], ("out",)),
        ("sweep", options["sweep"], ("out",)),
        ("calibrate", options["calibrate"], ("out",)),
        ("train", finetuning, ("out",)),
        ("train", ground.FINETUNING, ("out",)),
    ]


def manifests(good: Path, count: int, seed: int) -> list[Case]:
    """Rows of a manifest of the wrong type, edited, or damaged, and every stage that reads it."""
    content = (good / "before" / "manifest.jsonl").read_bytes()
    rng = random.Random(seed)
    cases: list[Case] = []
    for manifest in _malformed_rows(content, count, seed):
        stage, options, writes = rng.choice(_readers("before"))
        files = {"case.yml": yaml_of(options).encode(), "before/manifest.jsonl": manifest}
        cases.append(Case("manifests", stage, ("-opt", "case.yml"), files, writes))
    return cases


def records(good: Path, count: int, seed: int) -> list[Case]:
    """Lineages, scores, tables, the intervals of classes, and options.yml of results."""
    run = _with(ground.OPTIONS["run"], output="whole")
    table = {"intervals": 20, "classes": {"grass": 3, "sea": 0}}
    calibrate = ground.OPTIONS["detect"] | {
        "segment": {
            "type": "labels",
            "labels": "labels",
            "names": "names.txt",
            "table": "table.json",
        }
    }
    report = ground.OPTIONS["report"]
    own = yaml_load(good / "before" / "options.yml")
    readers: list[tuple[str, dict[str, Any], str, Any, tuple[str, ...]]] = [
        ("run", run, "whole/lineage.json", _json(good / "whole/lineage.json"), ("whole",)),
        ("report", report, "scores/scores.json", _json(good / "scores/scores.json"), ("out",)),
        ("report", report, "table.json", _json(good / "table.json"), ("out",)),
        ("detect", calibrate, "table.json", table, ("out",)),
        ("sweep", ground.OPTIONS["sweep"], "before/options.yml", own, ("out",)),
        ("report", report, "before/options.yml", own, ("out",)),
    ]
    if (good / "whole/rounds.json").is_file():
        rounds = _json(good / "whole/rounds.json")
        readers.append(("run", run, "whole/rounds.json", rounds, ("whole",)))
    rng = random.Random(seed)
    cases: list[Case] = []
    share = -(-count // len(readers))
    for number, (stage, options, path, content, writes) in enumerate(readers):
        for changed in drawn(malformed(content), share, seed + number):
            write = json_of if path.endswith("json") else lambda content: yaml_of(content).encode()
            file = write(changed)
            if rng.random() < 0.15:
                file = rng.choice(JSON_HAZARDS) if rng.random() < 0.5 else corrupted(file, rng)
            files = {"case.yml": yaml_of(options).encode(), path: file}
            cases.append(Case("records", stage, ("-opt", "case.yml"), files, writes))
    return cases[:count]


def yaml_load(path: Path) -> Any:
    """Read a YAML file of the good ones."""
    import yaml

    return yaml.safe_load(path.read_text())


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


# ------------------------------------------------------------------------------------- annotations


def mask_readers(truth: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the stages that read masks of a path, and their options."""
    options = ground.OPTIONS
    evaluate = {"masks": {"pred": "before", "truth": truth}, "output": "out"}
    return [
        ("detect", _with(options["detect"], masks=truth)),
        ("evaluate", evaluate | {"bootstrap": {"resamples": 100}}),
        ("sweep", _with(options["sweep"], truth=truth)),
    ]


def _shape(kind: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
    none = {"group_id": None, "description": "", "flags": {}, "mask": None}
    return {"label": "artifact", "points": points, "shape_type": kind, **none, **more}


def _encoded(kind: str) -> str:
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8), 255, np.uint8)).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def labelme(good: Path, count: int, seed: int) -> list[Case]:
    """LabelMe files, as masks by a human and as the truth."""
    corner = [[3.0, 3.0], [10.0, 8.0]]
    whole = {
        "version": "5.8.1",
        "flags": {},
        "shapes": [
            _shape("polygon", [[2.0, 2.0], [20.0, 2.0], [20.0, 20.0]]),
            _shape("rectangle", corner),
            _shape("circle", corner),
            _shape("mask", corner, mask=_encoded("PNG")),
        ],
        "imagePath": "../sr_gan/p0.png",
        "imageData": None,
        "imageHeight": 32,
        "imageWidth": 40,
    }
    odd = [
        _shape("mask", corner, mask=_encoded("EPS")),
        _shape("rotation", [*corner, [4.0, 4.0], [1.0, 9.0]], direction=0.3),
        _shape("rectangle", [[3.0, 3.0], [10.0, 3.0], [10.0, 8.0], [3.0, 8.0]]),
        _shape("line", corner),
    ]
    one_shape = [{**whole, "shapes": [shape]} for shape in (*whole["shapes"], *odd)]
    of_one = st.one_of(*map(malformed, one_shape))
    rng = random.Random(seed)
    cases: list[Case] = []
    for content in drawn(st.one_of(of_one, malformed(whole)), count, seed):
        stage, options = rng.choice(mask_readers("human"))
        file = json_of(content)
        if rng.random() < 0.15:
            file = rng.choice(JSON_HAZARDS) if rng.random() < 0.4 else corrupted(file, rng)
        name = rng.choice(("p0.json", "p0.json", "p0.json", "sub/p2.json", "._p0.json", "q.json"))
        cases.append(_command("labelme", stage, options, {f"human/{name}": file}))
    return cases


def coco(good: Path, count: int, seed: int) -> list[Case]:
    """COCO files, as masks by a human and as the truth."""
    written = _json(good / "before" / "coco.json")
    pieces: list[Any] = [
        [[2, 2, 20, 2, 20, 20, 2, 20]],
        {"size": [32, 40], "counts": [100, 30, 1150]},
        {"size": [32, 40], "counts": "T3n0nS1"},
        [],
    ]
    whole = {
        "info": {},
        "images": [{"id": 1, "file_name": "p0.png", "height": 32, "width": 40}],
        "categories": [{"id": 1, "name": "artifact"}],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "segmentation": segmentation,
                "bbox": [2, 2, 18, 18],
                "area": 324,
                "iscrowd": int(isinstance(segmentation, dict)),
            }
            for number, segmentation in enumerate(pieces)
        ],
    }
    rng = random.Random(seed)
    cases: list[Case] = []
    for content in drawn(st.one_of(malformed(whole), malformed(written)), count, seed):
        stage, options = rng.choice(mask_readers("human.json"))
        file = json_of(content)
        if rng.random() < 0.15:
            file = rng.choice(JSON_HAZARDS) if rng.random() < 0.4 else corrupted(file, rng)
        cases.append(_command("coco", stage, options, {"human.json": file}))
    return cases


def masks(good: Path, count: int, seed: int) -> list[Case]:
    """Pictures of masks, of labels and of maps: damaged, of other modes and sizes."""
    rng = random.Random(seed)
    square = np.zeros((32, 40, 3), np.uint8)
    square[8:20, 8:30] = 255
    readers = [
        *((stage, options, "masks/p0.png") for stage, options in mask_readers("masks")),
        ("calibrate", ground.OPTIONS["calibrate"], "labels/p0.png"),
        ("report", ground.OPTIONS["report"], "before/mask/p0.png"),
        ("evaluate", ground.OPTIONS["evaluate"], "before/map/p0.png"),
        ("train", ground.FINETUNING, "before/mask/p0.png"),
    ]
    cases: list[Case] = []
    for _ in range(count):
        stage, options, path = rng.choice(readers)
        cases.append(_command("masks", stage, options, {path: pictures.picture(square, rng)}))
    return cases


# ---------------------------------------------------------------------------------- images, weights


def images(good: Path, count: int, seed: int) -> list[Case]:
    """Images that are damaged, unusual, of other sizes, strangely named, or no files."""
    rng = random.Random(seed)
    options = ground.OPTIONS
    finished = _with(
        options["detect"], input={"sr_gan": "before/sr_gan", "sr_mse": "before/sr_mse"}
    )
    readers = [
        ("detect", options["detect"], "lq/"),
        ("detect", _with(options["detect"], on_error="skip"), "lq/"),
        ("detect", finished, "before/sr_gan/"),
        ("upscale", options["upscale"], "lq/"),
        ("upscale", _with(options["upscale"], on_error="skip", format="webp"), "lq/"),
        ("train", options["train"], "gt/"),
        ("train", ground.FINETUNING, "before/pseudo_gt/"),
        ("report", options["report"], "before/sr_gan/"),
        ("evaluate", options["evaluate"], "after/sr_gan/"),
        ("sweep", options["sweep"], "before/sr_mse/"),
    ]
    rgb = cv2.cvtColor(cv2.imread(str(good / "lq/p0.png")), cv2.COLOR_BGR2RGB)
    large = cv2.cvtColor(cv2.imread(str(good / "gt/p0.png")), cv2.COLOR_BGR2RGB)
    cases: list[Case] = []
    for _ in range(count):
        stage, settings, folder = rng.choice(readers)
        image = rgb if folder == "lq/" else large
        suffix = "png" if rng.random() < 0.6 else rng.choice(pictures.SUFFIXES)
        name = rng.choice(("p0", "p0", "p0", "\x1b[31mp9", "a\nb", "<b>&amp;", "%s {x}", "ü" * 100))
        files: dict[str, bytes | None] = {f"{folder}{name}.{suffix}": pictures.picture(image, rng)}
        if rng.random() < 0.05:
            files = {f"{folder}p0.png/": b""}
        elif rng.random() < 0.1:
            files[f"{folder}p1.png"] = None
        cases.append(_command("images", stage, settings, files))
    return cases


def fifos(good: Path, count: int, seed: int) -> list[Case]:
    """FIFOs, which nobody writes into, sockets and devices in the place of files."""
    rng = random.Random(seed)
    options = ground.OPTIONS
    trained = _with(options["train"], datasets__train__meta_info="pairs.txt")
    again = {"experiments_root": "experiments", "pretrain_network_g": "gan.pth"}
    resumed = _with(options["train"], path=again, val=None, train__total_iter=2)
    table = _with(options["detect"], segment=LABELS | {"table": "table.json"})
    in_before = _with(options["detect"], output="before")
    whole = _with(options["run"], output="whole")
    readers = [
        ("upscale", options["upscale"], "lq/p0.png"),
        ("detect", options["detect"], "lq/p0.png"),
        *((stage, settings, "human/p0.json") for stage, settings in mask_readers("human")),
        *((stage, settings, "human.json") for stage, settings in mask_readers("human.json")),
        *((stage, settings, "masks/p0.png") for stage, settings in mask_readers("masks")),
        *(("upscale", options["upscale"], f"out/{name}") for name in ("p0.png", "net_g.pth")),
        ("upscale", _with(options["upscale"], sr_gan__weights="case.pth"), "case.pth"),
        ("report", options["report"], "table.json"),
        ("report", options["report"], "scores/scores.json"),
        ("report", options["report"], "before/options.yml"),
        ("report", options["report"], "before/mask/p0.png"),
        ("report", options["report"], "out/index.html"),
        ("evaluate", options["evaluate"], "before/map/p0.png"),
        ("evaluate", options["evaluate"], "out/scores.json"),
        ("sweep", options["sweep"], "before/manifest.jsonl"),
        ("sweep", options["sweep"], "before/options.yml"),
        ("sweep", options["sweep"], "before/sr_gan/p0.png"),
        ("calibrate", options["calibrate"], "names.txt"),
        ("calibrate", options["calibrate"], "labels/p0.png"),
        ("calibrate", options["calibrate"], "out/intervals.yml"),
        ("detect", table, "table.json"),
        *(("detect", in_before, f"before/{name}") for name in OWN_FILES),
        ("train", options["train"], "gt/p0.png"),
        ("train", trained, "pairs.txt"),
        ("train", FINETUNING, "before/pseudo_gt/p0.png"),
        *(("train", resumed, f"experiments/tiny/{name}") for name in TRAINING_FILES),
        *(("run", whole, f"whole/{name}") for name in RUN_FILES),
    ]
    every = [(*reader, end) for end in "|=@" for reader in readers]
    chosen = rng.sample(every, min(count, len(every)))  # a second time tells nothing new
    return [
        Case("fifos", stage, ("-opt", "case.yml"), _files(settings, {f"{path}{end}": b""}), writes)
        for stage, settings, path, end in chosen
        for writes in [("out", path.partition("/")[0])]
    ]


def weights(good: Path, count: int, seed: int) -> list[Case]:
    """Files of weights: damaged, wrapped, of odd tensors, of another network."""
    rng = random.Random(seed)
    tensors = checkpoints.read(good / "gan.pth")["params"]
    options = ground.OPTIONS
    cases: list[Case] = []
    for _ in range(count):
        suffix = rng.choice(("pth", "pth", "pth", "safetensors", "ckpt", "bin"))
        file = f"case.{suffix}"
        files: dict[str, bytes | None] = {file: checkpoints.weights(tensors, rng)}
        commands: list[Case] = [
            _command("weights", "upscale", _with(options["upscale"], sr_gan__weights=file), files),
            _command("weights", "detect", _with(options["detect"], sr_mse__weights=file), files),
            _command(
                "weights",
                "train",
                _with(options["train"], path__pretrain_network_g=file, val=None),
                files,
            ),
            Case(
                "weights",
                "weights",
                ("blend", "gan.pth", file, "--strength", rng.choice(("0.5", "nan", "1e30", "2"))),
                files,
            ),
            Case(
                "weights", "export", (file, "-o", rng.choice(("out.pth", "o.safetensors"))), files
            ),
        ]
        case = rng.choice(commands)
        if case.stage == "weights":
            case = Case(case.kind, case.stage, (*case.argv, "-o", "blended.pth"), files)
        cases.append(case)
    return cases


def states(good: Path, count: int, seed: int) -> list[Case]:
    """States of a training, which the same command resumes."""
    rng = random.Random(seed)
    path = "experiments/tiny/training_states/latest.state"
    root = {"experiments_root": "experiments", "pretrain_network_g": "gan.pth"}
    options = _with(ground.OPTIONS["train"], path=root, val=None, train__total_iter=2)
    cases: list[Case] = []
    for _ in range(count):
        content = checkpoints.read(good / path)
        files: dict[str, bytes | None] = {path: checkpoints.state(content, rng)}
        if rng.random() < 0.1:
            models = ("net_g_latest.pth", "net_g_1.pth")
            files[f"experiments/tiny/models/{rng.choice(models)}"] = rng.choice((None, b"x"))
        files["case.yml"] = yaml_of(options).encode()
        cases.append(Case("states", "train", ("-opt", "case.yml"), files, ("out", "experiments")))
    return cases


def lists(good: Path, count: int, seed: int) -> list[Case]:
    """Lists of images and of class names."""
    rng = random.Random(seed)
    train = _with(ground.OPTIONS["train"], datasets__train__meta_info="pairs.txt", val=None)
    readers = [
        ("train", train, "pairs.txt"),
        ("calibrate", ground.OPTIONS["calibrate"], "names.txt"),
    ]
    lines = [
        *("p0.png", "p0.png, p0.png", "sub/p2.png (32,40,3)", "sub\\p2.png", "../lq/p0.png", "."),
        *(
            "",
            " ",
            ",",
            ", ",
            "p0",
            "p0.jpg",
            "a\0b.png",
            "n" * 300 + ".png",
            "d/" * 3000,
            "..",
            "~",
        ),
        *(
            "p0.png (",
            "p0.png, ",
            ", p0.png",
            "\ufeffp0.png",
            "p0.png\tp0.png",
            "/",
            "grass",
            "/p0",
        ),
        *("p0.png, p0.png, p0.png", "p1.png;p1.png", "#", "ü.png", "names.txt", "\u2028", "sub"),
    ]
    cases: list[Case] = []
    for words in drawn(st.lists(st.one_of(st.sampled_from(lines), st.text(max_size=8)), max_size=4),
                       count, seed):  # fmt: off
        stage, options, path = rng.choice(readers)
        file = "\n".join(words).encode("utf-8", "surrogatepass")
        if rng.random() < 0.15:
            file = corrupted(file, rng) if file else b"\xff\xfe"
        cases.append(_command("lists", stage, options, {path: file}))
    return cases


def folders(good: Path, count: int, seed: int) -> list[Case]:
    """Outputs on and in inputs, in folders that hold files of others, and ``--overwrite``."""
    rng = random.Random(seed)
    outputs = (
        *(
            "lq",
            "before",
            "before/mask",
            "before/sr_gan",
            "album",
            "gt",
            ".",
            "out",
            "masks",
            "",
            "..",
        ),
        *("experiments", "experiments/tiny", "whole", "scores", "labels", "~", "gan.pth", "after"),
        *("lq/sub", "whole/original", "out/sr_gan", "out", "out", "out", "out"),
    )
    inputs = ("lq", "before/sr_gan", "album", "gt", "whole", "before", ".")
    options = ground.OPTIONS
    cases: list[Case] = []
    for _ in range(count):
        output, source = rng.choice(outputs), rng.choice(inputs)
        pair = {"sr_gan": "before/sr_gan", "sr_mse": "before/sr_mse"}
        root, _, name = output.rpartition("/")
        stage, settings = rng.choice(
            [
                ("detect", _with(options["detect"], output=output, input={"lq": source})),
                ("detect", _with(options["detect"], output=output, input=pair)),
                ("detect", _with(options["detect"], output=output, masks="masks", scale=SCALE)),
                ("upscale", _with(options["upscale"], output=output, input=source)),
                ("calibrate", _with(options["calibrate"], output=output, plots=False)),
                ("sweep", _with(options["sweep"], output=output)),
                ("report", _with(options["report"], output=output)),
                ("evaluate", _with(options["evaluate"], output=output, sheet="album/holiday.png")),
                ("run", _with(options["run"], output=output)),
                (
                    "train",
                    _with(options["train"], path__experiments_root=root or ".", name=name or "x"),
                ),
            ]
        )
        argv = ["--overwrite"] if stage in ("run", "train") and rng.random() < 0.6 else []
        files = {path: b"not of desra\n" for path in ground.STRANGERS if rng.random() < 0.6}
        text = yaml_of(settings).encode()
        own = _own_outputs(stage, output)
        every = {"case.yml": text, **files}
        cases.append(Case("folders", stage, ("-opt", "case.yml", *argv), every, own))
    return cases


SCALE = ground.SCALE


def _own_outputs(stage: str, output: str) -> tuple[str, ...]:
    """Return the folder if the same stage wrote it before, whose results it may replace."""
    own = {
        "detect": ("before", "after", "whole/original"),
        "evaluate": ("scores",),
        "run": ("whole",),
        "train": ("experiments/tiny",),
    }
    return (output,) if output in own.get(stage, ()) else ()


#: Kind -> the function that makes its cases.
KINDS: dict[str, Make] = {
    **{f"options {stage}": options_of(stage) for stage in _MODULES},
    "classes": classes,
    "manifests": manifests,
    "records": records,
    "states": states,
    "labelme": labelme,
    "coco": coco,
    "masks": masks,
    "images": images,
    "fifos": fifos,
    "weights": weights,
    "lists": lists,
    "folders": folders,
}
