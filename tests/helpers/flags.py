"""The config classes and presets of everything that trains."""

import importlib

from common.config import RunConfig

PRESET_MODULES = (
    "LanguageModeling.presets",
    "LanguageModeling.vae.presets",
    "NER.presets",
    "Sentiment.presets",
    "NumberPrediction.presets",
    "NumberPrediction.recall.presets",
)


def config_and_presets(module_name: str) -> tuple[type, dict]:
    """The only config class that a module of presets defines, and its presets."""
    module = importlib.import_module(module_name)
    (config_class,) = {
        one for one in vars(module).values() if isinstance(one, type) and issubclass(one, RunConfig)
    } - {RunConfig}
    return config_class, module.PRESETS
