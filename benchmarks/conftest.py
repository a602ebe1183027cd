"""What needs PyTorch holds no examples: pytest does not import it in search of some."""

collect_ignore = ["peer_torch.py", "peer_networks.py"]
