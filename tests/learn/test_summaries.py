"""Trials that write: learning, beams, resuming bit for bit, saved members, other families."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel

from toprung.core.errors import FixSpec, Interrupted
from toprung.data.answers import read_answers
from toprung.data.load import load_dataset
from toprung.data.source import DataSource
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.checkpoint import load_checkpoint
from toprung.learn.member import load_member, load_plain, save_member
from toprung.learn.run import Run
from toprung.learn.summaries.beams import Decoding, write_beams
from toprung.learn.summaries.build import SummaryBuild
from toprung.learn.summaries.member import SummaryMember
from toprung.learn.summaries.spelling import learn_spelling, words_of
from toprung.learn.trainer import Trainer
from toprung.ship.exporters._base import Export
from toprung.ship.exporters.huggingface import Huggingface
from toprung.ship.predictor import Ensemble
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.report import Metric

Make = Callable[..., Trainer]
SMALL = {
    "backbone": "minilm2minilm",
    "backbone.minilm2minilm.depth": 1,
    "batch_size": 8,
    "max_length": 40,
    "max_target_length": 14,
    "learning_rate": 2e-3,
    "beams": 2,
}


def assign(start: int = 0, shrink: int = 1, **values: Any) -> Assignment:
    flat = {key.replace("__", "."): value for key, value in values.items()}
    return Assignment(TrialConfig("t0001", {**SMALL, **flat}, seed=1), start, shrink=shrink)


@pytest.fixture
def trainer(write_dialogues: Callable[..., Path], tmp_path: Path) -> Make:
    folder = str(write_dialogues(tmp_path / "data"))
    source = DataSource(path=folder, text="dialogue", label="summary", task="summarization")
    data = load_dataset(source, 7)

    def make(**changes: Any) -> Trainer:
        values: dict[str, Any] = {
            "task": "summarization",
            "dataset": data.without("test"),
            "metric": Metric("rouge1"),
            "resource": Resource("examples", 64, 192, (64, 128, 192), (64, 192)),
            "folder": tmp_path / "trials",
            "cache": tmp_path / "cache",
            "cpus": 1,
            "device": "cpu",
            "cards": {"minilm2minilm": find_card("minilm2minilm")},
        }
        return Trainer(**{**values, **changes})

    return make


def build_of(run: Run) -> SummaryBuild:
    assert isinstance(run.build, SummaryBuild)
    return run.build


def test_learning_lowers_the_loss_and_keeps_candidates_of_whole_splits(
    trainer: Make, tmp_path: Path
) -> None:
    reports = list(trainer()(assign()))
    losses = [report.metrics["token_loss"] for report in reports]
    assert losses[2] < losses[1] < losses[0]
    assert [report.metrics["evaluated_rows"] for report in reports] == [10, 10, 20]
    assert 0 < reports[2].metrics["rouge1"] <= 1
    found = read_answers(tmp_path / "trials/t0001/predictions/192.stopping")
    assert len(found) == 10
    assert all(1 <= len(texts) <= 2 for texts in found)
    assert not (tmp_path / "trials/t0001/predictions/64.selection.jsonl").exists()


@pytest.mark.parametrize("adapter", [{"adapter": "full"}, {"adapter": "lora", "lora": "all"}])
def test_the_encoder_can_be_trained_as_well(trainer: Make, adapter: dict[str, str]) -> None:
    values = {"adapter": adapter["adapter"]}
    if "lora" in adapter:
        values["adapter__lora__targets"] = adapter["lora"]
    plan = trainer(resource=Resource("examples", 64, 64, (64,)))
    run = Run(plan, assign(**values))
    trained = [name for name in run.model.trainable() if name.startswith("encoder.")]
    assert any("dense" in name for name in trained)
    assert all("lora" in name for name in trained) == (adapter["adapter"] == "lora")
    (report,) = plan(assign(**values))
    assert np.isfinite(report.metrics["token_loss"])


def test_writing_is_deterministic_bounded_and_repeats_no_three_tokens(trainer: Make) -> None:
    run = Run(trainer(), assign())
    inputs, model = build_of(run).inputs(("stopping",)), build_of(run).model.eval()
    with torch.inference_mode():
        states, mask = inputs.states(model, np.arange(6))
    how = Decoding(beams=3, length_penalty=1.0, most=11, no_repeat=3)
    found = write_beams(model.decoder, states, mask, how)
    assert found == write_beams(model.decoder, states, mask, how)
    for candidates in found:
        assert 1 <= len(candidates) <= 3
        assert len(set(candidates)) == len(candidates)
        for text in candidates:
            assert 1 <= len(text) <= 11
            threes = [text[i : i + 3] for i in range(len(text) - 2)]
            assert len(set(threes)) == len(threes)


def test_one_beam_takes_the_most_probable_token_each_time(trainer: Make) -> None:
    run = Run(trainer(), assign())
    inputs, model = build_of(run).inputs(("stopping",)), build_of(run).model.eval()
    vocabulary = model.decoder.vocabulary
    end = vocabulary.number(vocabulary.end)
    with torch.inference_mode():
        states, mask = inputs.states(model, np.arange(3))
        found = write_beams(model.decoder, states, mask, Decoding(1, 1.0, 5, 0))
        for row, (text,) in enumerate(found):
            numbers = [vocabulary.number(vocabulary.begin)]
            for place in range(5):
                seen = torch.tensor([numbers])
                vectors = model.decoder(seen, states[row : row + 1], mask[row : row + 1])
                scores = model.decoder.logits(vectors[:, -1])[0]
                scores[numbers[0]] = -torch.inf
                if place == 0:
                    scores[end] = -torch.inf
                numbers.append(int(scores.argmax()))
                if numbers[-1] == end:
                    break
            assert list(text) == [number for number in numbers[1:] if number != end]


def test_no_token_sees_those_behind_it_in_training(trainer: Make) -> None:
    run = Run(trainer(), assign(dropout=0.0))
    inputs, model = build_of(run).inputs(("stopping",)), build_of(run).model.train()
    states, mask = inputs.states(model, np.arange(1))
    one, other = torch.tensor([[1, 5, 9, 7]]), torch.tensor([[1, 5, 9, 2]])
    vectors = [model.decoder(numbers, states, mask) for numbers in (one, other)]
    assert torch.equal(vectors[0][:, :3], vectors[1][:, :3])
    assert not torch.equal(vectors[0][:, 3], vectors[1][:, 3])


def test_a_finer_cut_after_out_of_memory_trains_the_same(trainer: Make, tmp_path: Path) -> None:
    resource = Resource("examples", 16, 16, (16,))
    losses = []
    for shrink in (1, 4):
        plan = trainer(resource=resource, folder=tmp_path / str(shrink))
        (report,) = plan(assign(shrink=shrink, dropout=0.0))
        losses.append(report.metrics["token_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_trial_that_is_interrupted_ends_with_the_same_bits(trainer: Make, tmp_path: Path) -> None:
    whole = list(trainer()(assign()))
    pause = tmp_path / "pause"
    plan = trainer(folder=tmp_path / "again", pause_file=pause)
    reports = plan(assign())
    first = next(reports)
    pause.touch()
    with pytest.raises(Interrupted):
        next(reports)
    pause.unlink()
    rest = list(plan(assign(start=64)))
    for one, other in zip(whole, [first, *rest], strict=True):
        drop = {"rows_per_second"}
        assert {k: v for k, v in one.metrics.items() if k not in drop} == {
            k: v for k, v in other.metrics.items() if k not in drop
        }
    kept = [
        load_checkpoint(folder / "t0001/checkpoints/192")
        for folder in (tmp_path / "trials", tmp_path / "again")
    ]
    assert kept[0] is not None
    assert kept[1] is not None
    for name, weights in kept[0].weights.items():
        assert torch.equal(weights, kept[1].weights[name]), name


def test_a_saved_member_writes_the_same_in_a_fresh_process(trainer: Make, tmp_path: Path) -> None:
    plan = trainer(resource=Resource("examples", 64, 64, (64,)))
    list(plan(assign()))
    save_member(tmp_path / "trials/t0001", "checkpoints/64", tmp_path / "members/t0001")
    texts = list(plan.dataset.splits["stopping"].texts)
    here = load_member(tmp_path / "members/t0001", "cpu").logits(texts).tolist()
    kept = read_answers(tmp_path / "trials/t0001/predictions/64.stopping").tolist()
    assert [texts[0] for texts in here] == [texts[0] for texts in kept]
    order = json.dumps({"member": str(tmp_path / "members/t0001"), "texts": texts})
    script = Path(__file__).with_name("fresh_writer.py")
    done = subprocess.run(
        [sys.executable, str(script)], input=order, capture_output=True, text=True, check=True
    )
    assert [tuple(row) for row in json.loads(done.stdout)] == here


def save_tiny_writer(folder: Path, family: str) -> Path:
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder_of_minilm(), local_files_only=True
    )
    size = len(tokenizer)
    ends = {"pad_token_id": 0, "eos_token_id": 102, "decoder_start_token_id": 101}
    small: dict[str, Any] = {"d_model": 16, "vocab_size": size, **ends}
    if family == "flan":  # a T5 whose words out have a matrix of their own, and are not scaled
        small["tie_word_embeddings"] = False
    if family in ("t5", "flan"):
        small |= {"d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    else:
        for side in ("encoder", "decoder"):
            small |= {f"{side}_layers": 2, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 32}
        small |= {"max_position_embeddings": 64, "bos_token_id": 101}
    kind = "t5" if family == "flan" else family
    config = transformers.AutoConfig.for_model(kind, **small)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
        if family == "flan":
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
            model.all_tied_weights_keys.pop("lm_head.weight")
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def folder_of_minilm() -> str:
    return str(load_backbone(find_card("minilm")).folder)


@pytest.mark.parametrize(
    ("family", "adapter"),
    [("t5", "lora"), ("flan", "frozen"), ("flan", "full"), ("bart", "frozen"), ("pegasus", "full")],
)
def test_an_encoder_decoder_of_another_family_trains_and_is_saved(
    trainer: Make, tmp_path: Path, family: str, adapter: str
) -> None:
    card = find_card(str(save_tiny_writer(tmp_path / family, family)))
    assert card.decoder == "own"
    plan = trainer(cards={"tiny": card}, resource=Resource("examples", 32, 64, (32, 64), (32, 64)))
    config = {"backbone": "tiny", "adapter": adapter, "batch_size": 8, "max_target_length": 12}
    config |= {"learning_rate": 1e-2, "max_length": 40, "length_penalty": 1.4}
    config["beams"] = {"bart": 1, "pegasus": 4}.get(family, 2)
    order = Assignment(TrialConfig("t0001", config, seed=1))
    first, last = plan(order)
    assert last.metrics["token_loss"] < first.metrics["token_loss"]
    save_member(tmp_path / "trials/t0001", "checkpoints/64", tmp_path / "members/t0001")
    texts = list(plan.dataset.splits["stopping"].texts)
    found = load_member(tmp_path / "members/t0001", "cpu").logits(texts)
    kept = read_answers(tmp_path / "trials/t0001/predictions/64.stopping")
    assert found.tolist() == kept.tolist()
    member, facts = load_plain(tmp_path / "members/t0001")
    assert isinstance(member, SummaryMember)
    entry = {"trial": "t0001", "weight": 1.0, "backbone": "tiny", "config": config}
    ensemble = Ensemble({"t0001": member}, {"t0001": 1.0}, (), task="summarization")
    said = {"task": "summarization", "labels": [], "members": [entry]}
    told = Huggingface().write(Export(ensemble, tmp_path, said, tuple(texts)), tmp_path / "export")
    assert facts["precision"] == "float32"
    # T5 has no bias by which a word is never written, so that close beams may change places.
    least = 40 if family in ("t5", "flan") else 100
    assert float(re.findall(r"([\d.]+)%", told[-1])[0]) >= least
    folder = tmp_path / "export/members/t0001"
    assert (folder / "adapter").is_dir() == (adapter == "lora")
    if adapter == "lora":
        base = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / family)
        tuned = PeftModel.from_pretrained(base, folder / "adapter").eval()
        merged = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "model").eval()
        batch = {"input_ids": torch.arange(1000, 1012)[None], "labels": torch.tensor([[7, 9]])}
        with torch.inference_mode():
            torch.testing.assert_close(tuned(**batch).logits, merged(**batch).logits)


def test_a_card_that_only_reads_is_refused(trainer: Make) -> None:
    plan = trainer(cards={"minilm": find_card("minilm")})
    with pytest.raises(FixSpec, match="only reads"):
        Run(plan, Assignment(TrialConfig("t0001", {"backbone": "minilm"}, seed=1)))


def test_words_are_written_as_in_the_source_and_in_training() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder_of_minilm(), local_files_only=True
    )
    texts = ["#Person1# tells Mrs. Parker that it's 5 o'clock. She leaves."]
    spelling = learn_spelling(tokenizer, texts)
    ids = tokenizer("#person1# tells ms. li it's mrs. parker.")["input_ids"][1:-1]
    source = words_of(tokenizer, ["Ms. Li: Hello"])
    assert spelling.write(tokenizer, tuple(ids), source) == (
        "#Person1# tells Ms. Li it's Mrs. Parker."
    )
