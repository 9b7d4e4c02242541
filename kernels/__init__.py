"""Raw CUDA C++ sources, installed as ``warpline.kernels`` and read through `importlib.resources`."""
