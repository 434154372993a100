"""Accuracy and macro F1 of a classifier (F after van Rijsbergen, 1979, chapter 7; its mean over the classes)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.judge import Tolerance, compare
from autograder.make import Make, Trial
from autograder.text import Text


def evaluate(model: nn.Module, batches: list[dict[str, Tensor]]) -> tuple[float, float]:
    """How good a classifier is on all texts of these batches: its accuracy and its macro F1.

    The prediction for a text is the class with the largest logit. The accuracy is the share of texts, of all batches
    together, whose prediction is right. The F1 of a class c is

        F1(c) = 2 * hits(c) / (predicted(c) + true(c)),

    where hits(c) counts the texts of class c that are predicted as c, predicted(c) those predicted as c, and true(c)
    those of class c; a class that is never predicted has F1 = 0. The macro F1 is the mean over the classes, each of
    which counts the same.

    The model predicts in eval mode, and without gradients being recorded. Afterwards it is again in the mode in which
    it arrived.

    Args:
        model: model(**batch) returns an object whose `logits` are (batch, classes).
        batches: dicts such as pad_batch returns, of any sizes. Every class occurs among their "labels", and no other.

    Returns:
        accuracy, macro F1: plain numbers from 0 to 1.
    """
    was_training = model.training
    predicted, true = [], []
    ### BEGIN SOLUTION
    model.eval()
    with torch.no_grad():
        for batch in batches:
            predicted.append(model(**batch).logits.argmax(dim=-1))
            true.append(batch["labels"])
    model.train(was_training)
    ### END SOLUTION
    predictions, labels = torch.cat(predicted), torch.cat(true)
    ### BEGIN SOLUTION
    accuracy = (predictions == labels).double().mean()
    f1 = []
    for c in labels.unique():
        hits = ((predictions == c) & (labels == c)).sum().double()
        f1.append(2 * hits / ((predictions == c).sum() + (labels == c).sum()))
    macro_f1 = torch.stack(f1).mean()
    ### END SOLUTION
    return float(accuracy), float(macro_f1)


exercise = Exercise(
    evaluate,
    points=4,
    objectives=["3.5", "sentiment"],
    title_en="Accuracy and macro F1",
    title_ja="正解率とマクロ F1",
    equivalent={
        "predicted.append(model(**batch).logits.argmax(dim=1))": "logits have two dimensions",
        "hits = ((predictions == c) * (labels == c)).sum().double()": "the product of booleans is their conjunction",
        "hits = ((predictions == c) & (labels == c)).sum()": "a quotient of integers is a float, precise to 7 digits",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def predicting(
    make: Make, predictions: Tensor, labels: Tensor, sizes: list[int], after: tuple[str, ...] = (), **more: Any
) -> Trial:
    """A model with these predictions, on texts in batches of these sizes. `more` goes to the model."""
    classes = int(labels.max()) + 1
    table = make.normal(len(labels), classes)
    # The largest logit of a text's row is moved to where it is to be predicted.
    top = table.argmax(dim=-1)
    rows = torch.arange(len(labels))
    table[rows, top], table[rows, predictions] = table[rows, predictions], table[rows, top]
    ids = torch.cat([rows[:, None], make.integers(0, len(labels), len(labels), 3)], dim=1)
    parts = zip(ids.split(sizes), labels.split(sizes), strict=True)
    batches = [
        {"input_ids": ids, "attention_mask": make.keep_mask(*ids.shape), "labels": labels} for ids, labels in parts
    ]
    model = make.recipe("autograder.course.small_classifier:TableClassifier", table, **more)
    return make.call(after=after, model=model, batches=batches)


def drawn(make: Make, counts: list[int], slips: list[int]) -> tuple[Tensor, Tensor]:
    """Predictions and labels in any order: counts[c] texts of class c, slips[c] of them predicted as the next class."""
    labels, predictions = [], []
    for c, (count, slip) in enumerate(zip(counts, slips, strict=True)):
        labels += [c] * count
        predictions += [(c + 1) % len(counts)] * slip + [c] * (count - slip)
    order = make.normal(len(labels)).argsort()
    return torch.tensor(predictions)[order], torch.tensor(labels)[order]


@exercise.visible(
    en="the example worked by hand in the text, in batches of 6 and 4", ja="本文で手計算した例（6 文と 4 文のバッチ）"
)
def _(make: Make) -> Trial:
    labels = torch.tensor([1, 1, 1, 0, 1, 1, 0, 1, 1, 0])
    predictions = torch.tensor([1, 1, 1, 1, 1, 1, 1, 0, 1, 0])
    return predicting(make, predictions, labels, [6, 4])  # 0.7 and 0.6


@exercise.visible(
    en="a model with dropout that arrives in training mode",
    ja="ドロップアウトのあるモデルを学習モードで渡す場合",
)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [4, 3, 5], [1, 0, 2])
    return predicting(make, predictions, labels, [5, 5, 2], dropout=1.0, training=True)


def _judges(part: int, says: Text) -> Callable[[Mapping[str, Any], Any, Any], Text | None]:
    """A judge of one of the two results only, so that a slip in one leaves the marks for the other."""

    def judge(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
        found = actual[part] if len(actual) == len(expected) else None
        return says if compare(expected[part], found, Tolerance(rtol=1e-5, atol=1e-6)) else None

    return judge


_ACCURACY = Text("the accuracy, the first of the two results, is wrong.", "一つ目の返り値、正解率が違います。")
_F1 = Text("the macro F1, the second of the two results, is wrong.", "二つ目の返り値、マクロ F1 が違います。")


@exercise.hidden(
    en="the accuracy over batches of different sizes",
    ja="大きさの違うバッチ全体の正解率",
    weight=2,
    judge=_judges(0, _ACCURACY),
)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [6, 5, 4], [2, 1, 3])
    order = (predictions == labels).long().argsort(stable=True)  # the wrong ones first: no two batches are alike
    return predicting(make, predictions[order], labels[order], [7, 5, 3])


@exercise.hidden(
    en="the macro F1 over batches of different sizes",
    ja="大きさの違うバッチ全体のマクロ F1",
    weight=2,
    judge=_judges(1, _F1),
)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [9, 2, 5, 3], [1, 1, 2, 0])
    return predicting(make, predictions, labels, [8, 6, 5])


@exercise.hidden(
    en="a rare class that is never predicted",
    ja="一度も予測されない、まれなクラスがある場合",
    weight=1.5,
    judge=_judges(1, _F1),
)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [7, 6, 2], [1, 0, 2])
    return predicting(make, predictions, labels, [4, 6, 5])


@exercise.hidden(
    en="a model with dropout in training mode: the accuracy",
    ja="ドロップアウトのあるモデルを学習モードで渡したときの正解率",
    weight=1.5,
    judge=_judges(0, _ACCURACY),
)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [3, 6, 4], [0, 1, 2])
    return predicting(make, predictions, labels, [6, 7], dropout=1.0, training=True)


# What the model says of the call can be made up in the process that runs it: less than a tenth of the marks.
@exercise.hidden(en="the mode afterwards", ja="呼び出し後のモード", weight=0.35)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [3, 4], [1, 1])
    return predicting(make, predictions, labels, [4, 3], after=("model",), training=True, shows="mode")


@exercise.hidden(en="no gradients are recorded", ja="勾配を記録していないこと", weight=0.35)
def _(make: Make) -> Trial:
    predictions, labels = drawn(make, [4, 3], [0, 1])
    return predicting(make, predictions, labels, [3, 4], after=("model",), shows="gradients")


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _scores(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By class: hits, how often it is predicted, how often it occurs."""
    classes = int(max(labels.max(), predictions.max())) + 1
    p, t = F.one_hot(predictions, classes).double(), F.one_hot(labels, classes).double()
    return (p * t).sum(dim=0), p.sum(dim=0), t.sum(dim=0)


def _predict(model: nn.Module, batches: Any) -> list[tuple[Tensor, Tensor]]:
    mode = model.training
    model.eval()
    with torch.no_grad():
        found = [(model(**batch).logits.argmax(dim=-1), batch["labels"]) for batch in batches]
    model.train(mode)
    return found


def _metrics(found: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    predictions, labels = (torch.cat(part) for part in zip(*found, strict=True))
    hits, predicted, true = _scores(predictions, labels)
    return float(hits.sum() / true.sum()), float((2 * hits / (predicted + true)).mean())


@exercise.mistake(
    en="Accuracy and F1 are worked out for each batch and averaged: a text in a small batch counts for more.",
    ja="バッチごとに求めた正解率と F1 を平均しています。小さいバッチの文ほど重く数えられてしまいます。",
    hint_en="The last batch is smaller than the others. Should its texts count for more? Collect first, count then.",
    hint_ja="最後のバッチはほかより小さいことがあります。その文だけ重く数えてよいでしょうか。"
    "まず全部集めてから数えましょう。",
)
def averages_over_batches(model: nn.Module, batches: Any) -> Any:
    of_each = [_metrics([pair]) for pair in _predict(model, batches)]
    return tuple(sum(values) / len(values) for values in zip(*of_each, strict=True))


@exercise.mistake(
    en="The model stays in training mode: dropout falsifies its predictions.",
    ja="モデルが学習モードのままです。ドロップアウトのせいで予測が変わってしまいます。",
    hint_en="torch.no_grad() stops gradients, and nothing else. What stops dropout?",
    hint_ja="torch.no_grad() が止めるのは勾配だけです。ドロップアウトを止めるのは何でしょうか。",
)
def predicts_in_training_mode(model: nn.Module, batches: Any) -> Any:
    with torch.no_grad():
        return _metrics([(model(**batch).logits.argmax(dim=-1), batch["labels"]) for batch in batches])


@exercise.mistake(
    en="The F1 values are weighted by how often each class occurs: the rare ones hardly count.",
    ja="F1 を、各クラスの件数で重み付けしています。まれなクラスがほとんど数に入りません。",
    hint_en="How much does a class of two texts count in a macro average, and how much one of two hundred?",
    hint_ja="マクロ平均では、2 件しかないクラスと 200 件あるクラスは、それぞれどれだけの重みを持ちますか。",
)
def weighted_by_frequency(model: nn.Module, batches: Any) -> Any:
    found = _predict(model, batches)
    hits, predicted, true = _scores(*(torch.cat(part) for part in zip(*found, strict=True)))
    f1 = 2 * hits / (predicted + true)
    return _metrics(found)[0], float((f1 * true).sum() / true.sum())


@exercise.mistake(
    en="The F1 is not macro: hits are summed over all classes first, which gives the accuracy once more.",
    ja="マクロ F1 になっていません。先に全クラスの件数を合計しているので、正解率と同じ値になっています。",
    hint_en="Work out a number for each class. Which step comes last, the division or the mean?",
    hint_ja="クラスごとに一つの数を求めます。最後に行うのは、割り算と平均のどちらでしょうか。",
)
def summed_over_classes(model: nn.Module, batches: Any) -> Any:
    accuracy, _ = _metrics(_predict(model, batches))
    return accuracy, accuracy


@exercise.mistake(
    en="A class that is never predicted gives 0 / 0, and the mean is nan.",
    ja="一度も予測されないクラスで 0 / 0 になり、平均が nan になっています。",
    hint_en="Precision has nothing to divide by there. The formula of the text needs no precision: what is its "
    "denominator for such a class?",
    hint_ja="そのクラスでは適合率の分母が 0 になります。本文の式は適合率を使いません。分母はいくつになるでしょうか。",
)
def nothing_to_divide_by(model: nn.Module, batches: Any) -> Any:
    found = _predict(model, batches)
    hits, predicted, true = _scores(*(torch.cat(part) for part in zip(*found, strict=True)))
    precision, recall = hits / predicted, hits / true
    return _metrics(found)[0], float((2 * precision * recall / (precision + recall)).mean())


@exercise.mistake(
    en="The model is left in eval mode: if it was being trained, it goes on without dropout.",
    ja="モデルを eval モードのまま返しています。学習の途中だったなら、その後はドロップアウトなしで続いてしまいます。",
    hint_en="What is was_training for?",
    hint_ja="was_training は何のためにあるのでしょうか。",
)
def left_in_eval_mode(model: nn.Module, batches: Any) -> Any:
    model.eval()
    return _metrics(_predict(model, batches))


@exercise.mistake(
    en="Gradients are recorded: every batch keeps its activations in memory for a backward pass that never comes.",
    ja="勾配を記録しています。行うことのない逆伝播のために、途中の値がバッチごとにメモリに残ります。",
    hint_en="eval() changes what layers do, not what PyTorch records. Which context manager does that?",
    hint_ja="eval() が変えるのは層のふるまいで、PyTorch の記録は止まりません。"
    "それを止めるコンテキストマネージャは何ですか。",
)
def gradients_recorded(model: nn.Module, batches: Any) -> Any:
    mode = model.training
    model.eval()
    found = [(model(**batch).logits.argmax(dim=-1), batch["labels"]) for batch in batches]
    model.train(mode)
    return _metrics(found)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def from_a_confusion_matrix(model: nn.Module, batches: Any) -> Any:
    mode = model.training
    model.train(False)
    confusion = torch.zeros(0, dtype=torch.float64)
    with torch.inference_mode():
        for batch in batches:
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"])["logits"]
            classes = logits.size(1)
            confusion = confusion if len(confusion) else torch.zeros(classes, classes, dtype=torch.float64)
            cells = batch["labels"] * classes + logits.max(dim=1).indices
            confusion += torch.bincount(cells, minlength=classes**2).view(classes, classes)
    model.train(mode)
    diagonal = confusion.diagonal()
    return [diagonal.sum() / confusion.sum(), (2 * diagonal / (confusion.sum(dim=0) + confusion.sum(dim=1))).mean()]


@exercise.accepted
def counted_in_python(model: nn.Module, batches: Any) -> Any:
    mode, model.training = model.training, False
    for module in model.modules():
        module.eval()
    pairs = []
    with torch.no_grad():
        for batch in batches:
            pairs += zip(model(**batch).logits.argmax(-1).tolist(), batch["labels"].tolist(), strict=True)
    model.train(mode)
    f1 = {}
    for c in {label for _, label in pairs}:
        hits = sum(p == t == c for p, t in pairs)
        misses, alarms = sum(p != t == c for p, t in pairs), sum(t != p == c for p, t in pairs)
        f1[c] = hits / (hits + (misses + alarms) / 2)
    return sum(p == t for p, t in pairs) / len(pairs), sum(f1.values()) / len(f1)
