"""Recipes: presets, files, single settings, and errors that name the key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Linear, Recipe, Syn


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_by_name(name):
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert Recipe.load(recipe) is recipe


def test_what_the_presets_run():
    assert PRESETS["rigid"].syn is None
    assert PRESETS["rigid"].linear.stages == ("rigid",)
    assert PRESETS["affine"].syn is None
    assert PRESETS["syn"].syn.metric == "local_cc"
    assert sum(PRESETS["syn-fast"].syn.iterations) < sum(PRESETS["syn"].syn.iterations)
    smoothing = [PRESETS[name].syn.total_sigma for name in ("syn-quality", "syn", "syn-smooth")]
    assert smoothing == sorted(smoothing)
    assert max(PRESETS["syn-quality"].syn.update_weights) < min(PRESETS["syn"].syn.update_weights)


def test_an_unknown_preset_is_named_with_the_choices():
    with pytest.raises(UsageError, match=r"'sin' is unknown; did you mean 'syn'\? choose from rigid, affine, syn"):
        Recipe.load("sin")


def test_recipes_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        PRESETS["syn"].syn.step = 0.5


def write(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_changes_what_it_says_and_keeps_the_rest(tmp_path):
    path = write(tmp_path, 'base = "syn-quality"\n[syn]\nstep = 0.2\n[linear]\nstages = ["affine"]\n')
    recipe = Recipe.load(path)
    assert recipe.name == "mine"
    assert recipe.syn == PRESETS["syn-quality"].syn.model_copy(update={"step": 0.2})
    assert recipe.linear == Linear(stages=("affine",))
    assert Recipe.load(str(path)) == recipe


def test_a_file_starts_from_syn_and_may_name_itself(tmp_path):
    recipe = Recipe.load(write(tmp_path, 'name = "babies"\n'))
    assert recipe == PRESETS["syn"].model_copy(update={"name": "babies"})


@pytest.mark.parametrize("word", ["off", "none"])
def test_stages_and_limits_are_switched_off_in_a_file(tmp_path, word):
    recipe = Recipe.load(write(tmp_path, f'linear = "{word}"\n[syn]\nearly_stop = "{word}"\n'))
    assert recipe.linear is None
    assert recipe.syn == Syn(early_stop=None)


def test_a_file_switches_on_what_its_base_lacks(tmp_path):
    assert Recipe.load(write(tmp_path, 'base = "affine"\n[syn]\nradius = 3\n')).syn == Syn(radius=3)


@pytest.mark.parametrize(("text", "words"), [
    ("[syn]\nstep = 2.0\n", r"mine\.toml: syn\.step = 2\.0"),
    ("[syn]\nspeed = 1\n", r"mine\.toml: syn\.speed = 1"),
    ("[syn]\nfactors = [4.0, 0.5, 1.0]\n", r"mine\.toml: syn\.factors\.1 = 0\.5"),
    ('[linear]\nstages = ["bent"]\n', r"mine\.toml: linear\.stages\.0 = 'bent'"),
    ("[linear]\niterations = [10]\n", r"mine\.toml: linear: iterations has 1 entry for 3 levels \(voxel_sizes off"),
    ("[syn]\nfactors = []\niterations = []\n", r"mine\.toml: syn: factors is empty; give one entry per level"),
    ('base = "syn-smoth"\n', r"mine\.toml: base, .*'syn-smoth' is unknown; did you mean 'syn-smooth'\?"),
    ("syn = 3\n", r"mine\.toml: syn = 3: a section is needed"),
    ('[[syn]]\nradius = 3\n', r"mine\.toml: syn = .*: a section is needed"),
    ("[syn]\nbeside = [{weight = 1}]\n", r"mine\.toml: syn\.beside\.0\.metric: a value is needed"),
    ("[prepare]\nwinsorise = [0.9, 0.1]\n", r"mine\.toml: prepare: winsorise needs a lower and an upper"),
    ("name = 'a'\n[syn]\nradius = [1,\n", r"mine\.toml cannot be read: .*\(at line 3, the end of the file\)"),
    ("name = 'a'\nradius = ?\n", r"mine\.toml cannot be read: .*at line 2"),
    ("[syn\n", r"mine\.toml cannot be read"),
])  # fmt: skip
def test_errors_in_a_file_name_the_file_and_the_key(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        Recipe.load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml does not exist"):
        Recipe.load(tmp_path / "nowhere.toml")


def test_a_folder_or_binary_file_is_named(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match=r"folder\.toml cannot be read"):
        Recipe.load(tmp_path / "folder.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml cannot be read"):
        Recipe.load(tmp_path / "binary.toml")


def test_settings_are_written_as_in_toml():
    recipe = PRESETS["syn"].with_options(
        "syn.step=0.2",
        " syn.metric = mean_squares ",
        'initialise.method="centre"',
        "syn.iterations=[5, 4, 3]",
        "syn.early_stop=off",
        "initialise.rotations=false",
    )
    assert recipe.syn == Syn(step=0.2, metric="mean_squares", iterations=(5, 4, 3), early_stop=None)
    assert recipe.initialise.method == "centre"
    assert recipe.initialise.rotations is False
    assert PRESETS["syn"].syn.step == Syn().step


def test_a_setting_switches_a_stage_off():
    assert PRESETS["syn"].with_options("syn=none").syn is None


def test_no_settings_change_nothing():
    assert PRESETS["syn"].with_options() == PRESETS["syn"]


@pytest.mark.parametrize(("setting", "words"), [
    ("syn.step", "'syn.step' has no '='"),
    ("syn.step=0", r"--set: syn\.step = 0"),
    ("syn.step=fast", r"--set: syn\.step = 'fast'"),
    ("syn.radius=9", r"--set: syn\.radius = 9"),
    ("syn.early_stop=-1", r"--set: syn\.early_stop = -1"),
    ("sin.step=0.2", r"--set: sin: no such option; did you mean 'syn'\?"),
    ("syn.metric=cc", r"--set: syn\.metric = 'cc': did you mean 'local_cc'\? choose from local_cc, "),
    ("syn.metric=mutual_info", r"did you mean 'mutual_information'\?"),
    ("syn.iteratons=[1, 2, 3]", r"no such option; did you mean 'iterations'\? choose from model, "),
    ("radius=3", r"--set: radius = 3: no such option; did you mean syn\.radius\? choose from name, "),
    ("iterations=[1]", r"did you mean linear\.iterations or syn\.iterations\?"),
    ("syn.refinements=1", r"did you mean linear\.refinements\?"),
    ('syn.beside=[{metric="local_cc", wieght=1}]', r"syn\.beside\.0\.wieght = 1: .* 'weight'\? choose from metric"),
    ("syn.zzz=1", r"syn\.zzz = 1: no such option; choose from"),
    ("linear.samples=10", r"--set: linear\.samples = 10"),
    ("syn.iterations=[1, 2]", r"--set: syn: iterations has 2 entries for 3 levels .* add factors = \[2, 1\]"),
])  # fmt: skip
def test_errors_in_a_setting_name_the_key(setting, words):
    with pytest.raises(UsageError, match=words):
        PRESETS["syn"].with_options(setting)


def test_a_setting_below_a_value_is_an_error_that_names_it():
    with pytest.raises(UsageError, match=r"syn\.step"):
        PRESETS["syn"].with_options("syn.step.size=0.2")


def test_two_settings_that_contradict_are_an_error():
    with pytest.raises(UsageError, match="syn"):
        PRESETS["syn"].with_options("syn=off", "syn.step=0.2")


@pytest.mark.parametrize(
    ("preset", "settings", "words"),
    [
        ("rigid", ["syn.step=0.2"], "'rigid' runs no syn"),
        ("syn", ["linear=off", "linear.bins=16"], "linear has a value already"),
        ("syn", ["syn.stepp=1"], "choose from model, metric, factors"),
        ("syn", ["sin.step=1"], "choose from name, initialise, linear, syn"),
    ],
)
def test_a_setting_never_brings_in_what_the_recipe_leaves_out(preset, settings, words):
    with pytest.raises(UsageError, match=words):
        Recipe.load(preset).with_options(*settings)


def test_a_recipe_that_is_based_on_itself_is_refused(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{(tmp_path / base).as_posix()}.toml"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="is based on itself"):
        Recipe.load(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "text", ["syn.step = " + "9" * 5000, "x = " + "[" * 5000, "# " + "x" * 70000, 'base = "a\\u0000.toml"'],
    ids=["digits", "nesting", "length", "name"],
)  # fmt: skip
def test_endless_values_are_refused_in_a_line(tmp_path, text):
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        Recipe.load(tmp_path / "a.toml")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "x" * 5000])
def test_endless_settings_are_refused_in_a_line(value):
    with pytest.raises(UsageError) as caught:
        Recipe.load("syn").with_options(f"syn.step={value}")
    assert len(str(caught.value)) < 500
