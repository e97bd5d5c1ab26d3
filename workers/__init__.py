"""What the control plane does, room by room; workers/README.md is the map."""
