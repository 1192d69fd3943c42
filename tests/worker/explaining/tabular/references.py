"""Libraries that results are compared with; what they warn of at import is not ours to mend."""

import warnings
from types import ModuleType


def import_shap() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap  # type: ignore[no-any-return]


def import_lime() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lime.lime_tabular
    return lime.lime_tabular  # type: ignore[no-any-return]
