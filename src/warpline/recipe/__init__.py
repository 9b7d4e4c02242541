"""Recipes: every option of a run as one checked, frozen value, with named presets and TOML files."""

from warpline.recipe.budget import Budget
from warpline.recipe.linear import Initialise, Linear
from warpline.recipe.prepare import Prepare
from warpline.recipe.recipe import PRESETS, Recipe
from warpline.recipe.syn import Syn
from warpline.recipe.uncertainty import Uncertainty

NUMERICS = 11
"""Raised by every change after which images and recipe give other numbers: cohorts run again what it touches."""

__all__ = ["NUMERICS", "PRESETS", "Budget", "Initialise", "Linear", "Prepare", "Recipe", "Syn", "Uncertainty"]
