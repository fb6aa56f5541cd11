"""The weights store: what is found, what is refused and why, and what an import makes."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from streamfuse.engine.importing import import_published
from streamfuse.engine.store import (
    WeightsFile,
    card_path,
    list_weights,
    resolve,
    shipped_dir,
    user_dir,
    verify,
)
from streamfuse.engine.tasks.saved import load_saved
from streamfuse.engine.weights import load_network, write_weights
from streamfuse.engine.weightscard import WeightsCard
from streamfuse.errors import OutputError, UsageError, WeightsError
from streamfuse.nets.grdb import GrdbFusion
from streamfuse.nets.grdb_edge import GrdbEdgeFusion
from streamfuse.nets.published import published_key_map

FACTS = {"architecture": "grdb", "data": "none", "licence": "MIT", "made_by": "a test", "source": "nothing"}


@pytest.fixture(autouse=True)
def _empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a user's store of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A file as published: a pickled state dict with random values."""
    ours = GrdbFusion().state_dict()
    path = tmp_path / "network.pth"
    torch.save({theirs: ours[name] for theirs, name in published_key_map().items()}, path)
    return path


@pytest.fixture
def trained(tmp_path: Path) -> WeightsFile:
    """Weights with a card, outside of the stores."""
    return write_weights(tmp_path / "mine.safetensors", GrdbFusion().state_dict(), **FACTS)


def test_default_is_the_shipped_file_of_the_model() -> None:
    """``default`` needs no store, no data and no network."""
    found = resolve("default")
    assert found.path.parent == shipped_dir()
    assert found.card.architecture == "grdb-edge"


def test_every_shipped_file_has_a_true_card_and_loads() -> None:
    """What is in the package is whole: card, checksum, architecture."""
    paths = sorted(shipped_dir().glob("*.safetensors"))
    assert paths
    for path in paths:
        found = verify(path)
        load = load_saved if found.card.classes else load_network
        assert not load(found).training


def test_a_network_comes_back_with_the_values_that_were_written(tmp_path: Path) -> None:
    """Writing and loading keep every value, bit for bit."""
    network = GrdbFusion()
    again = load_network(write_weights(tmp_path / "a.safetensors", network.state_dict(), **FACTS))
    assert not again.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_an_import_is_found_by_name_and_computes_the_same(checkpoint: Path) -> None:
    """An imported checkpoint lies in the user's store and holds the published values."""
    imported = import_published(checkpoint, "mine")
    assert imported.path.parent == user_dir()
    assert resolve("mine") == imported
    state = load_network(imported).state_dict()
    for theirs, tensor in torch.load(checkpoint, weights_only=True).items():
        assert torch.equal(state[published_key_map()[theirs]], tensor), theirs
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() in imported.card.source
    assert "unknown" in imported.card.licence


def test_the_published_file_is_known_by_its_checksum(published_checkpoint: Path) -> None:
    """The file of the authors gets its licence onto the card."""
    assert import_published(published_checkpoint, "seafusion").card.licence.startswith("MIT")


def test_an_import_leaves_only_the_file_and_its_card(checkpoint: Path) -> None:
    """No partial files stay behind, and importing again replaces."""
    import_published(checkpoint, "mine")
    import_published(checkpoint, "mine")
    assert sorted(path.name for path in user_dir().iterdir()) == ["mine.json", "mine.safetensors"]


def test_the_store_lists_the_users_files_before_the_shipped_ones(checkpoint: Path) -> None:
    """Every file that can be named is listed once, the user's first."""
    import_published(checkpoint, "zebra")
    names = [found.card.name for found in list_weights()]
    assert names[0] == "zebra"
    assert "grdb-edge" in names[1:]


def test_a_path_is_taken_as_it_is(trained: WeightsFile) -> None:
    """A path that ends in .safetensors needs no store."""
    assert resolve(trained.path) == trained
    assert resolve(str(trained.path)) == trained


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    """A typing slip names what was meant."""
    with pytest.raises(WeightsError, match=r"'grdb-egde', known are: default, .*did you mean 'grdb-edge'"):
        resolve("grdb-egde")


@pytest.mark.parametrize("name", ["a.pth", "folder/a.pt", "b.CKPT"])
def test_a_pickle_is_never_loaded_at_run_time(name: str) -> None:
    """The error names the command that imports it."""
    with pytest.raises(WeightsError, match=rf"pickle.*streamfuse weights import {name}"):
        resolve(name)


def test_a_renamed_pickle_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """A pickle that is called .safetensors, with a card that vouches for it, is still not loaded."""
    path = tmp_path / "sly.safetensors"
    shutil.copy(checkpoint, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card_path(path).write_text(WeightsCard(name="sly", sha256=digest, **FACTS).to_json())
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network(resolve(path))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    """The error names both and how to mend it."""
    path = write_weights(tmp_path / "a.safetensors", GrdbFusion().state_dict(), **FACTS).path
    with pytest.raises(WeightsError, match="'grdb', but the model is 'grdb-edge'; set `model: grdb`"):
        resolve(path, model="grdb-edge")


def test_weights_of_no_fusion_network_are_refused(tmp_path: Path) -> None:
    """A segmentation network lies in the same store and is told from the others."""
    facts = FACTS | {"architecture": "banet"}
    path = write_weights(tmp_path / "a.safetensors", GrdbFusion().state_dict(), **facts).path
    with pytest.raises(WeightsError, match="'banet', which is no fusion network"):
        resolve(path)


def test_weights_of_a_family_serve_whoever_asks_for_the_family(tmp_path: Path) -> None:
    """The half-resolution network is of the family grdb; the weights say which network is built."""
    facts = FACTS | {"architecture": "grdb-edge"}
    path = write_weights(tmp_path / "a.safetensors", GrdbEdgeFusion().state_dict(), **facts).path
    assert isinstance(load_network(resolve(path, model="grdb")), GrdbEdgeFusion)


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    """Before any weights are looked for."""
    with pytest.raises(UsageError, match="did you mean 'grdb'"):
        resolve("default", model="gdrb")


def test_weights_that_do_not_fit_their_architecture_are_refused(tmp_path: Path) -> None:
    """A card that names the wrong network is found out when the tensors are placed."""
    state = {"decoder.0.weight": torch.zeros(3)}
    found = write_weights(tmp_path / "a.safetensors", state, **FACTS)
    with pytest.raises(WeightsError, match="does not fit 'grdb'"):
        load_network(found)


def test_a_card_of_an_unknown_architecture_is_refused(trained: WeightsFile) -> None:
    """A card written by a newer version names a network that this one lacks."""
    newer = WeightsFile(path=trained.path, card=replace(trained.card, architecture="newer"))
    with pytest.raises(WeightsError, match="newer"):
        load_network(newer)


def test_one_flipped_bit_is_found(trained: WeightsFile) -> None:
    """The checksum on the card must be that of the file."""
    content = bytearray(trained.path.read_bytes())
    content[-1] ^= 1
    trained.path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or was exchanged"):
        resolve(trained.path)


def test_a_file_exchanged_after_it_was_found_is_not_loaded(trained: WeightsFile) -> None:
    """Loading checks the very bytes it loads."""
    found = resolve(trained.path)
    trained.path.write_bytes(shipped_dir().joinpath("grdb-edge.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="damaged or was exchanged"):
        load_network(found)


def test_weights_without_a_card_are_refused(trained: WeightsFile) -> None:
    """The error names the card that is missing."""
    card_path(trained.path).unlink()
    with pytest.raises(WeightsError, match=r"mine\.json: No such file"):
        resolve(trained.path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "no weights card"),
        ("[]", "no weights card"),
        ("{}", "'architecture'"),
        (json.dumps(FACTS | {"name": "a", "sha256": "abc"}), "64 hexadecimal"),
        (json.dumps(FACTS | {"name": "", "sha256": "0" * 64}), "`name` must be a text"),
        (json.dumps(FACTS | {"name": "a", "sha256": "0" * 64, "metrics": 3}), "`metrics` must be a table"),
        (json.dumps(FACTS | {"name": "a", "sha256": "0" * 64, "colour": "red"}), "'colour'"),
    ],
)
def test_a_card_that_is_none_is_refused(trained: WeightsFile, text: str, complaint: str) -> None:
    """Broken JSON, missing, unknown and wrong fields are each named."""
    card_path(trained.path).write_text(text)
    with pytest.raises(WeightsError, match=complaint):
        resolve(trained.path)


def test_a_missing_path_says_so(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(WeightsError, match=r"cannot read the weights .*nothing\.safetensors: No such file"):
        resolve(tmp_path / "nothing.safetensors")


class Attack:
    """Would write a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._target,)


def test_an_import_runs_no_code(tmp_path: Path) -> None:
    """A pickle that carries code is refused, and the code does not run."""
    for name, write in (("torch.pth", torch.save), ("plain.pth", _pickle)):
        path, target = tmp_path / name, tmp_path / f"{name}.ran"
        write({"vis_conv.conv.weight": Attack(target)}, path)
        with pytest.raises(WeightsError, match="not a torch file of tensors alone"):
            import_published(path, "evil")
        assert not target.exists()


def _pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": torch.zeros(1)}}, torch.zeros(2)])
def test_an_import_takes_only_a_plain_state_dict(tmp_path: Path, content: object) -> None:
    """Lists, wrapped dicts and bare tensors are refused in one sentence."""
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="not a plain state dict"):
        import_published(path, "mine")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"hello", b"torn", b"\x80\x02}."])
def test_an_import_of_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    """An empty, a torn and a foreign file are refused in one sentence."""
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.pth is not a torch file .* damaged"):
        import_published(path, "mine")


def test_an_import_of_a_missing_file_says_so(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(WeightsError, match=r"nothing\.pth: No such file"):
        import_published(tmp_path / "nothing.pth", "mine")


@pytest.mark.parametrize("name", ["default", "grdb-edge", "../up", "A", "", "a b"])
def test_an_import_refuses_names_that_cannot_be_taken(checkpoint: Path, name: str) -> None:
    """Reserved and shipped names, paths and blanks are refused before anything is written."""
    with pytest.raises(UsageError, match="cannot be called"):
        import_published(checkpoint, name)
    assert not user_dir().exists()


def test_a_store_that_cannot_be_written_says_so(checkpoint: Path, tmp_path: Path) -> None:
    """A file where the store's folder should be is an output error with the path."""
    (tmp_path / "data-home").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write .*mine\.safetensors"):
        import_published(checkpoint, "mine")


def test_the_store_follows_the_users_home_without_xdg(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without XDG_DATA_HOME the store is below ~/.local/share."""
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_dir() == tmp_path / ".local/share/streamfuse/weights"


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """A NaN makes black pictures, so it is an error before the first of them."""
    state = GrdbFusion().state_dict()
    state["decoder.0.bias"][0] = float("nan")
    path = write_weights(tmp_path / "a.safetensors", state, **FACTS).path
    with pytest.raises(WeightsError, match=r"decoder\.0\.bias holds values that are no finite numbers"):
        load_network(resolve(path))
