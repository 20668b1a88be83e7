"""Networks that generate: the sentence VAE."""

from experiments.tables.table import Row, Table

GENERATION = {
    "vae_small": Table(
        "Sentence VAE, PTB, small scale (128 units, 16 numbers a sentence): bounds on perplexity",
        "LanguageModeling",
        (
            ("test_perplexity", "test, perplexity at most", 1, 1.0),
            ("test_perplexity_bound20", "test, by 20 samples", 1, 1.0),
            ("test_nll", "nats a sentence at most", 1, 1.0),
            ("test_kl", "KL", 2, 1.0),
            ("test_active_units", "active units", 0, 1.0),
        ),
        {
            "lstm": Row("without a vector of the sentence", {"latent_size": 0, "word_keep": 1}),
            "vae": Row("VAE, 60 % of the words kept", {}),
        },
        {"preset": "small", "eval_samples": 20},
        data="ptb",
        script="VAE_train.py",
        presets="vae_presets",
        hours=0.5,
        seeds=1,
        note=(
            "The perplexity of sentences on their own, not of a text; of the VAE it is a bound, "
            "from one sample of the vector or, closer, from 20."
        ),
    ),
}
