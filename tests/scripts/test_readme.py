"""README and manuals: each command and snippet is run, each file and function named exists.

Commands run here in the order of `PAGES`, in one folder, as a user would give them: `SHORTENED`
makes trainings short. Those that another test runs stand in `ELSEWHERE`.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from desra import weights
from desra.__main__ import main as desra
from desra.data.embedded import make
from desra.networks import checkpoints, zoo
from desra.options.train import StepOptions
from helpers.paths import ROOT
from helpers.small import photograph, save_png
from helpers.zoo_server import Site

# In the order in which their commands are run: run's manual leaves what the others look at.
PAGES = {
    page: (ROOT / page).read_text(encoding="utf-8")
    for page in (
        "README.md",
        "desra/run/README.md",
        "desra/detect/README.md",
        "desra/networks/README.md",
        "desra/train/README.md",
        "desra/evaluate/README.md",
        "desra/report/README.md",
        "scripts/benchmarks/README.md",
        ".github/CONTRIBUTING.md",
    )
}
README = PAGES["README.md"]
TOOLS = (
    "python",
    "desra",
    "bash",
    "pip",
    "source",
    "torchrun",
    "tensorboard",
    "apt-get",
    "pytest",
    "ruff",
)

#: What a command is given besides, by how it begins.
SHORTENED = {
    "desra train -opt options/finetune.yml": ["--force_yml", "train:total_iter=4"],
    "desra run -i": [
        "--force_yml",
        "max_rounds=1",
        "train:train:total_iter=4",
        "evaluate:bootstrap:resamples=100",
    ],
    "desra run -opt options/run.yml": [
        "--force_yml",
        "max_rounds=1",
        "train:train:total_iter=4",
        "evaluate:bootstrap:resamples=100",
    ],
    "desra train -opt options/realesrgan/make_mse_partner.yml": [
        "--force_yml",
        "train:total_iter=1",
        "datasets:train:dataroot_gt=photographs",
        "datasets:train:gt_size=32",
        "datasets:train:crop_pad_size=48",
        "datasets:num_workers=0",
        "network_g={type: SRVGGNetCompact, num_feat: 48, num_conv: 12, upscale: 4}",
    ],
}

#: Commands that cannot run inside a test run, by how they begin: where they are run instead.
ELSEWHERE = {
    "bash scripts/quickstart.sh": "scripts/test_readme.py::"
    "test_the_quickstart_does_what_the_stages_do",
    "bash scripts/test.sh": "../.ci/run",
    "apt-get install": "../scripts/install.sh",
    "pip install": "scripts/test_readme.py::test_the_installation_is_that_of_the_script",
    "pip uninstall": "train/test_tensorboard.py",
    "source .venv/bin/activate": "../scripts/install.sh",
    "torchrun": "train/test_never_lost.py::test_the_number_of_processes_may_change",
    "tensorboard --logdir": "train/test_tensorboard.py::test_the_server_answers",
    "desra train -opt finetune_realesrgan_x4plus.yml": "options/test_foreign.py::test_they_train",
    "desra weights import-ncnn": "weights/test_weights.py::"
    "test_a_package_becomes_a_network_of_the_zoo",
    "desra app": "app/test_app_browser.py::test_upload_move_the_threshold_download",
    "desra export": "networks/test_onnx.py",
    "pytest tests/detect/test_released.py": "detect/test_released.py",
    "pytest -m": "../.ci/run",
    "bash scripts/install.sh": "../.ci/run",
    "python scripts/write_schema.py": "options/test_options.py",
    "python scripts/run_tour.py": "scripts/test_tour.py::test_it_runs_from_top_to_bottom",
    "python scripts/docs/build.py": "scripts/test_docs.py::test_the_pages_of_the_api_"
    "are_built_without_a_warning",
    "python scripts/fuzz.py": "scripts/test_fuzz.py::test_a_minute_finds_nothing",
    "python scripts/kills.py": "scripts/test_kills.py::test_all_stages_go_on_after_a_kill",
    "python scripts/benchmark.py detectors": "scripts/test_benchmark_detectors.py::"
    "test_run_on_folders_that_detect_wrote",
    "python scripts/benchmark.py NAME": "scripts/test_benchmark.py::test_sr",
}


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def commands_of(page: str) -> list[str]:
    """All commands of a page, in blocks and within sentences, with one spelling for
    ``python -m desra.X``."""
    prose = re.compile(rf"`((?:{'|'.join(TOOLS)})\s[^`]+)`")
    lines: list[tuple[int, str]] = []
    for match in re.finditer(r"^```bash\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        block = match[1].replace("\\\n", " ").splitlines()
        lines += [(match.start(), line) for line in block if line.strip()]
    without = re.sub(r"^```.*?^```", lambda m: " " * len(m[0]), page, flags=re.DOTALL | re.M)
    lines += [(match.start(), match[1]) for match in prose.finditer(without)]
    # sorted() is stable: the lines of a block keep their order.
    texts = [shlex.join(shlex.split(line, comments=True)) for _, line in sorted(lines, key=_place)]
    texts = [re.sub(r"^python -m desra\.(\w+)", r"desra \1", text) for text in texts]
    # `desra detect` alone is the mention of a stage.
    return [text for text in texts if len(text.split()) > 2 or entry(ELSEWHERE, text)]


def commands() -> list[str]:
    """The commands of all pages, each once."""
    return list(dict.fromkeys(text for page in PAGES.values() for text in commands_of(page)))


def _place(line: tuple[int, str]) -> int:
    return line[0]


def entry(table: dict[str, object] | dict[str, str], command: str) -> str | None:
    """The key of ``table`` that a command begins with."""
    return next((start for start in table if command.startswith(start)), None)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder: photos, an SR pair of their own, and published networks to be had (in truth
    the embedded ones, from a server on this machine)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESRA_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for stem, (lq, _) in list(make("heldout").items())[:4]:
        save_png(tmp_path / "photos" / f"{stem}.png", lq)
    save_png(tmp_path / "photo.png", make("heldout")["astronaut_1"][0])
    save_png(tmp_path / "photographs" / "p.png", photograph(0, 64, 64))
    for name in [name for name in zoo.ZOO if name.startswith(("LDL", "Swin", "ESRGAN"))]:
        monkeypatch.delitem(zoo.ZOO, name)
    sites: list[Site] = []
    for name, embedded, own in (
        ("RealESRGAN_x4plus", "embedded:gan", "my_gan.pth"),
        ("RealESRNet_x4plus", "embedded:mse", "my_mse.pth"),
    ):
        assert weights.main(["blend", embedded, embedded, "--strength", "0", "-o", own]) == 0
        content = Path(own).read_bytes()
        sites.append(Site(content))
        network_g = {"type": "SRVGGNetCompact", "num_feat": 48, "num_conv": 12, "upscale": 4}
        known = replace(
            zoo.ZOO[name],
            address=sites[-1].address,
            network_g=network_g,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        monkeypatch.setitem(zoo.ZOO, name, known)
    yield tmp_path
    for site in sites:
        site.close()


def test_every_command_is_run_somewhere():
    assert len(commands()) > 30
    for command in commands():
        place = entry(ELSEWHERE, command)
        assert place or command.startswith(("desra ", "python scripts/tradeoff.py"))
    for start, where in ELSEWHERE.items():
        assert entry({start: ""}, start) and any(c.startswith(start) for c in commands()), start
        file, _, test = where.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, where
    assert all(any(c.startswith(start) for c in commands()) for start in SHORTENED)


@pytest.mark.slow
def test_all_other_commands_run(desk: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of the pages: each finds what those before it left."""
    for command in commands():
        if entry(ELSEWHERE, command):
            continue
        tool, *arguments = shlex.split(command)
        short = entry(SHORTENED, command)
        arguments += SHORTENED[short] if short else []
        if tool == "desra":
            assert desra(arguments) == 0, command
        else:
            script, *rest = arguments
            monkeypatch.setattr(sys, "argv", [script, *rest])
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(ROOT / script), run_name="__main__")
            assert not end.value.code, command
    assert Path("results/report/index.html").is_file() and Path("quickstart.png").is_file()
    assert Path("out/net_g.pth").is_file() and Path("mine/net_g.pth").is_file()
    assert len(list(Path("upscaled").glob("*.png"))) == 4
    assert Path("results/tradeoff.png").is_file()
    assert checkpoints.read(Path("weaker.pth"))


def test_the_readme_is_short_and_begins_with_the_tour():
    assert len(README.splitlines()) <= 180
    assert "](scripts/tour.ipynb)" in README.splitlines()[1]
    assert README.count("![") == 1


def test_the_snippet_goes_from_an_image_to_a_target(desk: Path):
    (snippet,) = blocks(README, "python")
    assert sum(bool(line) for line in snippet.splitlines()) == 8
    names: dict = {}
    exec(snippet, names)
    artifacts = names["artifacts"]
    height, width = (4 * n for n in names["lq"].shape[:2])
    assert artifacts.mask.shape == (height, width) and artifacts.mask.dtype == np.bool_
    target = artifacts.pseudo_gt()
    assert artifacts.mask.any() and target.dtype == np.uint8
    assert (target[~artifacts.mask] == artifacts.gan[~artifacts.mask]).all()
    assert (target[artifacts.mask] == artifacts.mse[artifacts.mask]).all()
    assert (artifacts.deleted()[~artifacts.mask] == artifacts.gan[~artifacts.mask]).all()
    with Image.open("pseudo_gt.png") as image:
        assert (np.asarray(image) == target).all()


def test_the_losses_of_the_manual_are_options():
    (section,) = blocks(PAGES["desra/train/README.md"], "yaml")
    given = yaml.safe_load(section)["train"]["losses"]
    step = StepOptions.model_validate({"total_iter": 1, "optim_g": {}, "losses": given})
    assert list(step.losses) == list(given)  # pyright: ignore
    recipe = yaml.safe_load((ROOT / "options/finetune.yml").read_text(encoding="utf-8"))["train"]
    shipped = StepOptions.model_validate({**recipe, "total_iter": 1})
    assert shipped.losses == step.losses  # pyright: ignore


def test_the_quickstart_does_what_the_stages_do():
    script = (ROOT / "scripts/quickstart.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    (finetuned,) = re.findall(r"^finetuned=(.*)", script, flags=re.MULTILINE)
    lines = re.findall(r'^"\$python" -m desra\.(.*)', script, flags=re.MULTILINE)
    steps = [shlex.join(shlex.split(line.replace("$finetuned", finetuned))) for line in lines]
    manual = PAGES["desra/run/README.md"]
    (start,) = re.findall(r"one by one.*?```bash\n(.*?)```", manual, flags=re.DOTALL)
    told = [
        shlex.join(shlex.split(line.removeprefix("python -m desra.")))
        for line in start.replace("\\\n", " ").splitlines()
        if not line.startswith("#")
    ]
    assert steps == told


def test_the_installation_is_that_of_the_script():
    script = (ROOT / "scripts/install.sh").read_text(encoding="utf-8")
    lines = [c for c in commands_of(README) if c.startswith("pip install")]
    own = next(c for c in lines if "--no-build-isolation" in c)
    assert own.removeprefix("pip ") in script
    first, last = lines[lines.index(own) - 1], lines[lines.index(own) + 1]
    assert {"torch", "torchvision", "setuptools<82", "wheel", "cython", "numpy"} == set(
        shlex.split(first)[2:]
    )
    assert last == "pip install ."
    for package in ("torch", "torchvision", "setuptools<82", "wheel", "cython", "numpy"):
        assert package in script
    extras = {e for page in PAGES.values() for e in re.findall(r'pip install "?\.\[(\w+)\]', page)}
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert extras and all(re.search(rf"^{extra} = \[", told, flags=re.M) for extra in extras)


def anchors(page: str) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_that_it_names_exist(page: str):
    text = PAGES[page]
    paths = set(
        re.findall(
            r"(?<![\w/.])(?:options|scripts|desra|tests)/[\w/]+\.(?:yml|sh|py|ipynb|md)", text
        )
    )
    assert not [path for path in paths if not (ROOT / path).is_file()]
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_functions_that_the_table_of_the_method_names_exist():
    detect = PAGES["desra/detect/README.md"]
    (table,) = re.findall(r"## Where the method is\n(.*?)\n## ", detect, flags=re.DOTALL)
    named = re.findall(r"`(desra/[\w/]+)\.py`: ((?:`\w+`(?:, )?)+)", table)
    assert len(named) == table.count(".py`") > 12
    for path, names in named:
        module = importlib.import_module(path.replace("/", "."))
        for name in re.findall(r"\w+", names):
            assert hasattr(module, name), f"{path}: {name}"


def test_all_manuals_and_only_they_are_pages():
    manuals = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("desra/**/README.md")}
    manuals |= {p.relative_to(ROOT).as_posix() for p in ROOT.glob("scripts/**/README.md")}
    assert manuals == {page for page in PAGES if page.startswith(("desra/", "scripts/"))}
    assert all(f"]({manual})" in README for manual in manuals)


def test_the_citation():
    (entry_of_paper,) = blocks(README, "bibtex")
    assert "DeSRA: Detect and Delete the Artifacts of GAN-based" in entry_of_paper
    authors = re.search(r"author += \{(.*)\}", entry_of_paper)
    assert authors
    names = [author.split(",")[0] for author in authors[1].split(" and ")]
    assert names == ["Xie", "Wang", "Chen", "Li", "Shan", "Zhou", "Dong"]
    assert "2307.02457" in entry_of_paper and "{2023}" in entry_of_paper


def test_the_root_holds_few_things():
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = {line.split("/")[0] for line in listing.stdout.splitlines()}
    if not names:
        pytest.skip("not a clone")
    seen = {name for name in names if not name.startswith(".")}
    folders = {"desra", "options", "scripts", "tests"}
    assert seen == folders | {"pyproject.toml", "README.md", "LICENSE"}
