"""Modules that take long to import."""

HEAVY = ["torch", "torchvision", "cv2", "basicsr", "scipy", "skimage", "spandrel", "numpy"]
