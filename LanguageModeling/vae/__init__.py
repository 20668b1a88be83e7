"""The sentence VAE (Bowman et al. 2016), trained by `VAE_train.py`."""
