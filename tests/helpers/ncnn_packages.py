"""Networks of the ncnn project's file format, written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from desra.registry import ARCH_REGISTRY, find

FP16, FP32, FP32_ALSO, INT8, TABLE = 0x01306B47, 0, 0x0002C056, 0x000D4B38, 0x12345678


class Writer:
    """Writes layers as ncnn's converters do: one consumer a blob, so Split where there are more."""

    def __init__(self, flag: int):
        self.flag = flag
        self.rows: list[tuple[str, list[int], str]] = [("Input", [], "")]
        self.bin = b""

    def add(self, kind: str, inputs: list[int], settings: str = "") -> int:
        self.rows.append((kind, inputs, settings))
        return len(self.rows) - 1

    def conv(self, layer: nn.Conv2d, x: int, slope: float | None = None) -> int:
        weight = layer.weight.detach().numpy()
        data = weight.astype("<f2" if self.flag == FP16 else "<f4").tobytes()
        self.bin += np.uint32(self.flag).tobytes() + data + b"\0" * (-len(data) % 4)
        assert layer.bias is not None
        self.bin += layer.bias.detach().numpy().astype("<f4").tobytes()
        act = "" if slope is None else f" 9=2 -23310=1,{slope:e}"
        settings = f"0={weight.shape[0]} 1=3 4=1 5=1 6={weight.size}{act}"
        return self.add("Convolution", [x], settings)

    def prelu(self, layer: nn.PReLU, x: int) -> int:
        self.bin += layer.weight.detach().numpy().astype("<f4").tobytes()
        return self.add("PReLU", [x], f"0={layer.num_parameters}")

    def save(self, folder: Path) -> tuple[Path, Path]:
        uses = [
            [r for r, row in enumerate(self.rows) for i in row[1] if i == x]
            for x in range(len(self.rows))
        ]
        blob = {x: "data" if x == 0 else f"b{x}" for x in range(len(self.rows))}
        blob[len(self.rows) - 1] = "output"
        copies = {x: [f"{blob[x]}_s{i}" for i in range(len(u))] for x, u in enumerate(uses)}
        lines, n_blobs = [], 0
        for x, (kind, inputs, settings) in enumerate(self.rows):
            names = [copies[i].pop() if len(uses[i]) > 1 else blob[i] for i in inputs]
            lines.append(f"{kind:24} L{x} {len(names)} 1 {' '.join([*names, blob[x]])} {settings}")
            n_blobs += 1
            if len(uses[x]) > 1:
                n = len(uses[x])
                lines.append(f"Split S{x} 1 {n} {blob[x]} {' '.join(copies[x])}")
                n_blobs += n
        text = "\n".join(["7767517", f"{len(lines)} {n_blobs}", *lines, ""])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "n.param").write_text(text, "utf-8")
        (folder / "n.bin").write_bytes(self.bin)
        return folder / "n.param", folder / "n.bin"


def write_compact(net: nn.Module, folder: Path, flag: int, tail: str = ""):
    w = Writer(flag)
    x = 0
    for layer in net.body:  # pyright: ignore
        x = w.conv(layer, x) if isinstance(layer, nn.Conv2d) else w.prelu(layer, x)
    s = net.upscale
    x = w.add("PixelShuffle", [x], f"0={s}")
    x = w.add("BinaryOp", [x, w.add("Interp", [0], f"0=1 1={s}.0 2={s}.0")])
    if tail:
        w.add("Interp", [x], tail)
    return w.save(folder)


def make(kind: str, seed: int = 0, **sizes: int) -> nn.Module:
    """A network whose weights and slopes are all different, and exact in float16."""
    torch.manual_seed(seed)
    fixed = {"num_in_ch": 3, "num_out_ch": 3}
    net = find(ARCH_REGISTRY, kind, "")(**fixed, **sizes)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_((p + 0.05 * torch.randn_like(p)).half())
    return net.eval()


def compact(upscale: int = 3) -> nn.Module:
    return make("SRVGGNetCompact", num_feat=5, num_conv=2, upscale=upscale)


def install(root: Path) -> str:
    """Write an installed package of two networks into ``root``; importing it would fail."""
    for i, name in enumerate(("NET_X4PLUS_UP4X", "NET_OTHER_UP3X")):
        write_compact(compact(4 - i), root / "pack" / name, FP16)
        for suffix in (".param", ".bin"):
            (root / "pack" / name / f"n{suffix}").rename(root / "pack" / f"{name}{suffix}")
    (root / "pack" / "__init__.py").write_text("raise SystemExit", "utf-8")
    info = root / "pack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n", "utf-8")
    files = [p.relative_to(root) for p in root.rglob("*.*") if p.is_file()]
    (info / "RECORD").write_text("".join(f"{p.as_posix()},,\n" for p in files), "utf-8")
    return "pack"
