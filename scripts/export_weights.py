#!/usr/bin/env python
"""Write the EMA weights of a checkpoint as safetensors: how the embedded networks were made.

    python scripts/export_weights.py net_g_latest.pth desra/assets/sr_gan_x4.safetensors
"""

import argparse
from pathlib import Path

from safetensors.torch import save_file

from desra import checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path, help=".pth with params_ema or params")
    parser.add_argument("out", type=Path, help=".safetensors to write")
    args = parser.parse_args()
    tensors = checkpoints.state_dict(checkpoints.read(args.checkpoint))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, args.out)
    print(f"{args.out}: {len(tensors)} tensors, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
