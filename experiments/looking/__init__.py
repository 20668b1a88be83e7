"""What `look_inside.py` measures in networks that read text by characters."""
