"""What operators see in a browser: Flower, configured; its pages of ours come later beside this."""
