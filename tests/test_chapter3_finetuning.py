"""Chapter 3, the second half of `finetuning`: references against outside oracles, and answers that are odd or bad."""

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT
from toys import SEED, verdict_of

from autograder.ask import answer_question, write_question
from autograder.course.small_classifier import SmallClassifier, TableClassifier
from autograder.examiner import mark, read
from autograder.exercise import Exercise
from autograder.key import make_key
from autograder.solutions import load_exercise
from autograder.verdict import Verdict

FOLDER = ROOT / "solutions" / "ch3"


def exercise(slug: str) -> Exercise:
    return load_exercise(FOLDER / f"{slug}.py")


def reference(slug: str) -> Any:
    return exercise(slug).answers[slug]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """The oracles calculate as precisely as the exams do."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(usual)


def tiny_bert(**options: Any) -> Any:
    """transformers' own BERT, without dropout unless it is asked for."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    more = {"intermediate_size": 16, "max_position_embeddings": 16, "num_labels": 3, "initializer_range": 0.3}
    torch.manual_seed(1)
    return BertForSequenceClassification(BertConfig(**{**sizes, **dropout, **more, **options})).double().eval()


def batches_of(sizes: list[int], labels: int = 3) -> list[dict[str, Tensor]]:
    torch.manual_seed(2)
    return [
        {
            "input_ids": torch.randint(1, 30, (size, 6)),
            "attention_mask": torch.arange(6) < torch.randint(2, 7, (size, 1)),
            "labels": torch.randint(labels, (size,)),
        }
        for size in sizes
    ]


# -- oracles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("warmup", "total"), [(0, 5), (1, 4), (4, 12), (30, 100)])
def test_the_schedule_is_that_of_transformers(warmup: int, total: int) -> None:
    from transformers import get_linear_schedule_with_warmup

    ours = reference("warmup_linear_schedule")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, total)
    for step in range(total + 3):
        assert math.isclose(ours(step, warmup, total), optimizer.param_groups[0]["lr"], abs_tol=1e-12), step
        optimizer.step()
        schedule.step()


def test_the_first_three_factors_are_those_of_the_text() -> None:
    assert [reference("warmup_linear_schedule")(step, 4, 12) for step in range(3)] == [0.0, 0.25, 0.5]


def word_tokenizer(**options: Any) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[UNK]", "a", "b", "[END]", "[PAD]"])}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")), **options)


def test_a_batch_is_that_of_the_librarys_collator() -> None:
    from transformers import DataCollatorWithPadding

    tokenizer = word_tokenizer(pad_token="[PAD]")
    texts = [([1, 2, 3], 1), ([2], 0), ([1, 4, 2, 2, 3], 2)]
    features = [{"input_ids": ids, "label": label} for ids, label in texts]
    ours = reference("pad_batch")(features, tokenizer.pad_token_id)
    theirs = DataCollatorWithPadding(tokenizer)([dict(feature) for feature in features])
    assert set(ours) == set(theirs)
    for name in ours:
        torch.testing.assert_close(ours[name].long(), theirs[name])


def test_a_tokenizer_without_a_padding_token_is_turned_down_in_a_sentence() -> None:
    tokenizer = word_tokenizer(eos_token="[END]")
    features = [{"input_ids": [1, 3], "label": 0}, {"input_ids": [1, 2, 3], "label": 1}]
    with pytest.raises(ValueError, match="has no padding token: set tokenizer") as caught:
        reference("pad_batch")(features, tokenizer.pad_token_id)
    assert "\n" not in str(caught.value)
    tokenizer.pad_token = tokenizer.eos_token
    batch = reference("pad_batch")(features, tokenizer.pad_token_id)
    assert batch["attention_mask"].tolist() == [[True, True, False], [True, True, True]]  # the end of a text is kept


def table_of(predictions: Tensor, classes: int) -> TableClassifier:
    return TableClassifier(F.one_hot(predictions, classes).double())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_metrics_are_those_of_scikit_learn(classes: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        torch.manual_seed(seed)
        labels = torch.cat([torch.arange(classes), torch.randint(classes, (17,))])
        predictions = torch.randint(classes, labels.shape)
        ids = torch.arange(len(labels))[:, None]
        batches = [{"input_ids": i, "labels": y} for i, y in zip(ids.split(6), labels.split(6), strict=True)]
        accuracy, macro_f1 = reference("evaluate")(table_of(predictions, classes), batches)
        assert math.isclose(accuracy, metrics.accuracy_score(labels, predictions))
        assert math.isclose(macro_f1, metrics.f1_score(labels, predictions, average="macro", zero_division=0))


def test_the_metrics_by_hand() -> None:
    labels = torch.tensor([1] * 7 + [0] * 3)
    batch = {"input_ids": torch.arange(10)[:, None], "labels": labels}
    by_hand = reference("evaluate")(table_of(torch.tensor([1] * 6 + [0, 1, 1, 0]), 2), [batch])
    assert by_hand == pytest.approx((0.7, 0.6))
    always = reference("evaluate")(table_of(torch.ones(10, dtype=torch.long), 2), [batch])
    assert always == pytest.approx((0.7, 7 / 17))


def test_evaluation_leaves_transformers_model_in_its_mode_and_without_gradients() -> None:
    model = tiny_bert(hidden_dropout_prob=0.5).train()
    batches = batches_of([4, 3])
    first, second = (reference("evaluate")(model, batches) for _ in range(2))
    assert first == second
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


# -- fine_tune ---------------------------------------------------------------------------------------------------------


def prepared(model: nn.Module, lr: float = 0.05) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)


def assert_same(first: nn.Module, second: nn.Module, **tolerance: float) -> None:
    for (name, ours), theirs in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def test_a_loop_without_windows_is_the_plain_loop_of_every_tutorial() -> None:
    ours, theirs, batches = tiny_bert(), tiny_bert(), batches_of([4, 3, 5, 2])
    losses = reference("fine_tune")(ours, batches, *prepared(ours), 1, 0.5)
    optimizer, schedule = prepared(theirs)
    plain = []
    for batch in batches:
        optimizer.zero_grad()
        loss = theirs.train()(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        plain.append(loss.item())
    assert losses == pytest.approx(plain)
    assert_same(ours, theirs)


def test_a_window_of_equal_batches_is_one_large_batch() -> None:
    ours, theirs, batches = tiny_bert(), tiny_bert(), batches_of([4] * 6)
    large = [{name: torch.cat([batch[name] for batch in batches[at : at + 3]]) for name in batches[0]} for at in (0, 3)]
    reference("fine_tune")(ours, batches, *prepared(ours), 3, 0.5)
    reference("fine_tune")(theirs, large, *prepared(theirs), 1, 0.5)
    assert_same(ours, theirs)


def test_the_loop_is_that_of_trainer(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):
        loss_is_scaled_for_ga = False  # a BERT returns the plain mean of its batch: the Trainer has to divide

        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=None)  # batches as they are

    ours, theirs, batches = tiny_bert(), tiny_bert(), batches_of([4, 4, 4, 4, 4])
    reference("fine_tune")(ours, batches, *prepared(ours), 2, 0.5)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        num_train_epochs=1,
        gradient_accumulation_steps=2,
        max_grad_norm=0.5,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        InOrder(model=theirs, args=arguments, train_dataset=batches, optimizers=prepared(theirs)).train()
    assert_same(ours, theirs)


def test_the_groups_of_transformers_own_bert() -> None:
    model = tiny_bert()
    groups = reference("parameter_groups")(model, lr=0.8, layer_decay=0.5, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups)  # refuses a parameter that is there twice
    given = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert given.keys() == {id(parameter) for parameter in model.parameters()}
    rates = {"embeddings": 0.05, "layer.0": 0.1, "layer.1": 0.2, "layer.2": 0.4, "pooler": 0.8, "classifier": 0.8}
    for name, parameter in model.named_parameters():
        (rate,) = [rate for part, rate in rates.items() if f".{part}." in f".{name}."]
        spared = name.endswith("bias") or "LayerNorm" in name
        assert given[id(parameter)] == pytest.approx((rate, 0.0 if spared else 0.01)), name


# -- groupings, draws --------------------------------------------------------------------------------------------------


def regrouped(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """The right settings in as few groups as possible, the last parameters first; an empty group besides."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for group in reversed(reference("parameter_groups")(model, lr, layer_decay, weight_decay)):
        groups.setdefault((group["lr"], group["weight_decay"]), []).extend(group["params"])
    found = [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
    return [*found, {"params": [], "lr": lr, "weight_decay": 0.0}]


def test_any_grouping_is_right_in_the_exam() -> None:
    verdict = verdict_of(exercise("parameter_groups"), regrouped)
    assert verdict.score == 3.0
    assert all(case.passed for case in verdict.cases if not case.visible)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda groups: groups[1:], "a trainable parameter is in no group."),
        (lambda groups: [*groups, groups[0]], "a parameter is in two groups, which an optimizer refuses."),
        (
            lambda groups: [*groups, {**groups[0], "params": [torch.zeros(2, 3)]}],
            "a group holds something that is no parameter of the model.",
        ),
    ],
)
def test_groups_that_are_no_partition_are_told(change: Callable[[Any], Any], says: str) -> None:
    verdict = verdict_of(exercise("parameter_groups"), lambda *args: change(reference("parameter_groups")(*args)))
    assert verdict.score == 0.0
    assert {case.says.en for case in verdict.cases if not case.visible and case.says} == {says}


def test_all_pairs_of_a_class_are_equally_likely() -> None:
    labels = torch.tensor([1, 0, 1, 1, 0, 1])  # the example of the text
    draws = 3000
    found = Counter(
        tuple(reference("few_shot_subset")(labels, 2, torch.Generator().manual_seed(seed))) for seed in range(draws)
    )
    pairs = {tuple(sorted((*pair, 1, 4))) for pair in itertools.combinations((0, 2, 3, 5), 2)}
    assert set(found) == pairs
    # Pearson's statistic with 5 degrees of freedom is above 50 once in 10^9 times
    assert sum((count - draws / 6) ** 2 / (draws / 6) for count in found.values()) < 50


def test_right_draws_are_right_under_many_seeds() -> None:
    few_shot = exercise("few_shot_subset")
    for seed in range(40):
        for answers in (few_shot.answers, *(right.answers for right in few_shot.alternatives)):
            assert verdict_of(few_shot, answers["few_shot_subset"], seed).score == 3.0


def test_a_draw_by_a_pattern_is_told() -> None:
    def every_third(labels: Tensor, per_class: int, generator: torch.Generator) -> Tensor:
        chosen = []
        for label in labels.unique():
            members = (labels == label).nonzero().flatten()
            stride = max(1, len(members) // per_class)
            chosen.append(members[::stride][:per_class])
        return torch.cat(chosen).sort().values

    verdict = verdict_of(exercise("few_shot_subset"), every_third)
    assert verdict.fraction < 0.5


# -- answers that are odd or bad ---------------------------------------------------------------------------------------


def test_losses_of_any_kind_that_hold_the_right_numbers_are_right() -> None:
    fine_tune = reference("fine_tune")
    kinds: list[Callable[[list[float]], Any]] = [
        tuple,
        torch.tensor,
        lambda losses: torch.tensor(losses).numpy(),
        lambda losses: [torch.tensor(loss, requires_grad=True) for loss in losses],
    ]
    for kind in kinds:
        verdict = verdict_of(exercise("fine_tune"), lambda *args, kind=kind: kind(fine_tune(*args)))
        assert verdict.score == 5.0, verdict.summary().en


def test_a_loop_that_yields_its_losses_is_told() -> None:
    def yields(*args: Any) -> Iterator[float]:
        yield from reference("fine_tune")(*args)

    verdict = verdict_of(exercise("fine_tune"), yields)
    assert verdict.score == 0.0
    assert says_of(verdict) == "the type is generator instead of list."


def says_of(verdict: Verdict) -> str:
    """What the first visible case says."""
    said = next(case.says for case in verdict.cases if case.visible)
    assert said is not None
    return said.en


def test_a_loop_that_diverges_is_told() -> None:
    def diverges(model: nn.Module, batches: Any, optimizer: Any, schedule: Any, *rest: Any) -> Any:
        for group in optimizer.param_groups:
            group["lr"] = 1e200
        return reference("fine_tune")(model, batches, optimizer, schedule, *rest)

    verdict = verdict_of(exercise("fine_tune"), diverges)
    assert verdict.score == 0.0
    assert "got nan" in says_of(verdict) or "differ" in says_of(verdict)


def test_a_model_left_in_half_precision_is_told() -> None:
    def halved(model: nn.Module, *rest: Any) -> Any:
        losses = reference("fine_tune")(model, *rest)
        model.half()
        return losses

    verdict = verdict_of(exercise("fine_tune"), halved)
    assert verdict.score == 0.0
    assert says_of(verdict).startswith("model after the call: ")
    assert says_of(verdict).endswith("the dtype is float16 instead of float64.")


def test_a_loop_that_trains_a_copy_is_wrong() -> None:
    """The losses are right, and the model that was handed over is as it was."""
    import copy

    def elsewhere(model: nn.Module, batches: Any, optimizer: Any, schedule: Any, *rest: Any) -> Any:
        twin = copy.deepcopy(model)
        own = torch.optim.SGD(twin.parameters(), **{k: optimizer.defaults[k] for k in ("lr", "momentum")})
        return reference("fine_tune")(twin, batches, own, torch.optim.lr_scheduler.ConstantLR(own, 1.0), *rest)

    assert verdict_of(exercise("fine_tune"), elsewhere).score == 0.0


def test_a_loop_that_never_ends_costs_its_own_time_and_no_more(tmp_path: Path) -> None:
    def forever(*args: Any) -> Any:
        while True:
            pass

    key = make_key(exercise("fine_tune"), SEED)
    key = replace(key, trials=tuple(replace(t, fields={**t.fields, "seconds": 0.5}) for t in key.trials))
    write_question(tmp_path, list(key.trials), {}, "cpu", made_up=key.device)
    answer_question(str(tmp_path), {"fine_tune": forever})
    verdict = mark(key, read(key, range(len(key.trials)), tmp_path))
    assert verdict.score == 0.0
    assert "is there a loop that never ends?" in says_of(verdict)


@pytest.mark.parametrize("slug", ["parameter_groups", "pad_batch", "evaluate", "few_shot_subset"])
def test_nothing_and_nonsense_get_a_sentence_and_no_marks(slug: str) -> None:
    for nonsense in (None, "text", [None], {"a": 1}, torch.zeros(0), float("nan"), object()):
        verdict = verdict_of(exercise(slug), lambda *args, given=nonsense: given)
        assert verdict.score == 0.0
        assert all(case.says is not None and case.says.is_whole for case in verdict.cases)


def test_evaluation_in_single_precision_is_right() -> None:
    def single(model: nn.Module, batches: Any) -> Any:
        accuracy, macro_f1 = reference("evaluate")(model.float(), batches)
        return torch.tensor(accuracy, dtype=torch.float32), torch.tensor(macro_f1, dtype=torch.float32)

    verdict = verdict_of(exercise("evaluate"), single)
    assert [case.name.en for case in verdict.cases if not case.passed] in (
        [],
        ["the mode afterwards", "no gradients are recorded"],  # there the model's own state is compared, too
    )


# -- the small models --------------------------------------------------------------------------------------------------


def test_the_small_classifier_has_the_interface_of_transformers() -> None:
    small, real, (batch,) = SmallClassifier(vocab_size=30), tiny_bert(), batches_of([4])
    for model in (small, real):
        output = model(**batch)
        assert output.loss is output["loss"] is output[0]
        assert output.logits is output["logits"] is output[1]
        torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, batch["labels"]))
        alone = model(batch["input_ids"])
        assert alone.loss is None
        assert alone[0] is alone.logits
        assert not model.training
    parts = {".".join(name.split(".")[:3]) for name, _ in small.named_parameters()}
    assert parts <= {".".join(name.split(".")[:3]) for name, _ in real.named_parameters()}


def test_the_small_classifier_heeds_its_mask() -> None:
    small, ids = SmallClassifier(), torch.randint(11, (2, 5))
    keep = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]])
    torch.testing.assert_close(small(ids, keep).logits, small(ids[:, :3]).logits)
