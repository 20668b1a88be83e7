"""Times training steps with each value of `--jit_compile`: compilation, and one step.

Steps are compiled as a whole by XLA, run as a plain graph, or as the default chooses.
"""

import time
from collections.abc import Callable

from benchmarks.networks import language_models, number_networks, sentiment_networks, taggers

WAYS = {"default": None, "XLA": True, "graph": False}  # values of --jit_compile


def _language_model(preset: str) -> Callable[..., Callable[[], object]]:
    return lambda **flags: language_models.our_steps(language_models.config_of(preset, **flags))


# A preset's training steps, and how many of them a call takes.
NETWORKS = {
    "LanguageModeling paper": (_language_model("paper"), language_models.STEPS),
    "LanguageModeling small": (_language_model("small"), language_models.STEPS),
    "LanguageModeling char": (_language_model("char"), language_models.STEPS),
    "NumberPrediction paper": (number_networks.our_steps, number_networks.STEPS),
    "NER paper": (taggers.our_steps, taggers.STEPS),
    "Sentiment paper": (sentiment_networks.our_steps, sentiment_networks.STEPS),
}


def measure(runs: int) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """For each preset and value: seconds to compile, and milliseconds of a step.

    Compilation is the time of the first call less that of a later one.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, (make, n_steps) in NETWORKS.items():
        for way, jit_compile in WAYS.items():
            call = make(jit_compile=jit_compile)
            seconds = []
            for _ in range(runs + 1):
                start = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - start)
            later = sorted(seconds[1:])[runs // 2]
            found.setdefault(name, {})[way] = {
                "compile_seconds": round(seconds[0] - later, 1),
                "step_milliseconds": round(later / n_steps * 1e3, 1),
            }
    return {"ways": found}
