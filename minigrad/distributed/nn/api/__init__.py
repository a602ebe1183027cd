"""The package PyTorch has RemoteModule in."""
