"""Chapter 5.5, instruction tuning and RLHF: the references by hand, in plain Python, with transformers."""

import math
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from toycourse import ROOT
from transformers import GPT2Config, GPT2LMHeadModel

from autograder.course import alignment
from autograder.solutions import load_exercise

FOLDER = ROOT / "solutions" / "ch5"


def answer(slug: str) -> Any:
    return load_exercise(FOLDER / f"{slug}.py").answers[slug]


instruction_labels, reward_model_loss, dpo_loss, ppo_clip_loss, generalized_advantages, kl_shaped_rewards = (
    answer(slug)
    for slug in (
        "instruction_labels",
        "reward_model_loss",
        "dpo_loss",
        "ppo_clip_loss",
        "generalized_advantages",
        "kl_shaped_rewards",
    )
)


def doubles(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- instruction_labels --------------------------------------------------------------------------------------------


def test_the_labels_of_two_pairs_by_hand() -> None:
    inputs, labels = instruction_labels([[5, 6, 7], [8, 9]], [[21, 22], [23]], 0)
    assert inputs.tolist() == [[5, 6, 7, 21, 22, 0], [8, 9, 23, 0, 0, 0]]
    assert labels.tolist() == [[-100, -100, -100, 21, 22, 0], [-100, -100, 23, 0, -100, -100]]
    assert inputs.dtype == labels.dtype == torch.int64


def test_a_gpt2_takes_its_loss_over_the_response_alone() -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=30, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).double().eval()
    prompts, responses = [[3, 4, 5, 0], [6]], [[11, 12], [13, 14, 15, 16]]
    inputs, labels = instruction_labels(prompts, responses, 0)
    loss = model(input_ids=inputs, labels=labels, attention_mask=torch.ones_like(inputs)).loss
    losses = []
    for prompt, response in zip(prompts, responses, strict=True):  # each row alone, without any padding
        row = torch.tensor([prompt + response + [0]])
        log_probabilities = model(input_ids=row).logits.log_softmax(dim=-1)
        for place in range(len(prompt), row.size(1)):
            losses.append(-float(log_probabilities[0, place - 1, row[0, place]].detach()))
    assert len(losses) == 3 + 5
    assert loss.item() == pytest.approx(
        sum(losses) / len(losses), rel=1e-6
    )  # transformers takes it in single precision


# -- reward_model_loss ---------------------------------------------------------------------------------------------


def test_the_reward_loss_by_hand() -> None:
    # differences 1 and -1: -log sigmoid(1) = 0.3133, -log sigmoid(-1) = 1.3133
    assert reward_model_loss(doubles(2.0, 0.5), doubles(1.0, 1.5)).item() == pytest.approx(0.8133, abs=1e-4)
    # equal rewards: a coin
    assert reward_model_loss(doubles(3.0), doubles(3.0)).item() == pytest.approx(math.log(2))
    # far apart: 0 and 10,000, on average 5,000
    assert reward_model_loss(doubles(1e4, 0.0), doubles(0.0, 1e4)).item() == pytest.approx(5000)


def test_the_gradient_of_the_reward_loss_is_the_probability_of_being_wrong() -> None:
    chosen, rejected = doubles(0.3, -1.2, 9000.0).requires_grad_(), doubles(1.0, -2.0, -1000.0).requires_grad_()
    reward_model_loss(chosen, rejected).backward()
    wrong = [sigmoid(0.7) / 3, sigmoid(-0.8) / 3, 0.0]
    assert chosen.grad.tolist() == pytest.approx([-p for p in wrong])
    assert rejected.grad.tolist() == pytest.approx(wrong)


# -- dpo_loss ------------------------------------------------------------------------------------------------------


def test_dpo_by_hand() -> None:
    # first pair:  0.5 (-10 + 12) - 0.5 (-11 + 9)  =  1 + 1   =  2, loss log(1 + e^-2) = 0.1269
    # second pair: 0.5 (-12 + 11) - 0.5 (-14 + 15) = -0.5 - 0.5 = -1, loss log(1 + e^1)  = 1.3133
    loss, margin = dpo_loss(doubles(-10, -12), doubles(-11, -14), doubles(-12, -11), doubles(-9, -15), 0.5)
    assert margin.tolist() == pytest.approx([2.0, -1.0])
    assert loss.item() == pytest.approx((0.126928 + 1.313262) / 2, abs=1e-6)


def test_dpo_equals_plain_mathematics() -> None:
    table = (-5 + noise(4, 9)).tolist()
    beta, total = 0.3, 0.0
    for chosen, rejected, reference_chosen, reference_rejected in zip(*table, strict=True):
        odds = (math.exp(chosen) / math.exp(reference_chosen)) / (math.exp(rejected) / math.exp(reference_rejected))
        total -= math.log(odds**beta / (1 + odds**beta))
    loss, _ = dpo_loss(*(doubles(*row) for row in table), beta)
    assert loss.item() == pytest.approx(total / 9)


def test_gradients_of_dpo_reach_the_policy_alone() -> None:
    given = [(-4 + noise(5, seed=seed)).requires_grad_() for seed in range(4)]
    loss, margin = dpo_loss(*given, 0.4)
    assert not margin.requires_grad
    loss.backward()
    weight = torch.sigmoid(-margin) * 0.4 / 5  # Rafailov et al., section 4: beta times how wrong the pair still is
    torch.testing.assert_close(given[0].grad, -weight)
    torch.testing.assert_close(given[1].grad, weight)
    assert given[2].grad is None
    assert given[3].grad is None


def test_dpo_is_the_reward_loss_of_the_implicit_rewards() -> None:
    policy, reference = (-5 + noise(2, 6, seed=1)), (-5 + noise(2, 6, seed=2))
    rewards = 0.7 * (policy - reference)
    torch.testing.assert_close(dpo_loss(*policy, *reference, 0.7)[0], reward_model_loss(*rewards))


# -- ppo_clip_loss -------------------------------------------------------------------------------------------------


def test_ppo_by_hand() -> None:
    # ratio 1.5, A  1: min( 1.5,  1.2) =  1.2     ratio 0.5, A -1: min(-0.5, -0.8) = -0.8
    # ratio 1.5, A -1: min(-1.5, -1.2) = -1.5     ratio 1.1, A  2: min( 2.2,  2.2) =  2.2     mean 1.1 / 4 = 0.275
    ratio, advantage = doubles([1.5, 0.5, 1.5, 1.1]), doubles([1.0, -1.0, -1.0, 2.0])
    old = torch.full_like(ratio, -1.0)
    mask = torch.ones(1, 4, dtype=torch.bool)
    logp = (ratio.log() + old).requires_grad_()
    loss = ppo_clip_loss(logp, old, advantage, 0.2, mask)
    assert loss.item() == pytest.approx(-0.275)
    loss.backward()  # the gradient with respect to logp is -ratio · A / 4, and 0 where the limit decides
    assert logp.grad[0].tolist() == pytest.approx([0.0, 0.0, 1.5 / 4, -2.2 / 4])


@pytest.mark.parametrize("clip", [0.1, 0.3])
def test_ppo_equals_a_loop_in_plain_python(clip: float) -> None:
    draw = random.Random(0)
    logp, old, advantage = ([[draw.gauss(-1, 0.3) for _ in range(6)] for _ in range(4)] for _ in range(3))
    mask = [[draw.random() < 0.6 for _ in range(6)] for _ in range(4)]
    total, count = 0.0, 0
    for i in range(4):
        for j in range(6):
            if mask[i][j]:
                ratio = math.exp(logp[i][j]) / math.exp(old[i][j])
                limited = max(1 - clip, min(1 + clip, ratio))
                total += min(ratio * advantage[i][j], limited * advantage[i][j])
                count += 1
    loss = ppo_clip_loss(doubles(*logp), doubles(*old), doubles(*advantage), clip, torch.tensor(mask))
    assert loss.item() == pytest.approx(-total / count)


def test_at_its_first_step_ppo_is_the_policy_gradient() -> None:
    logp, advantage, mask = (-1 + noise(3, 5)).requires_grad_(), noise(3, 5, seed=1), noise(3, 5, seed=2) > 0
    ppo_clip_loss(logp, logp, advantage, 0.2, mask).backward()
    torch.testing.assert_close(logp.grad, -advantage * mask / mask.sum())


def test_nothing_outside_of_the_mask_reaches_the_ppo_loss() -> None:
    logp, old, advantage, mask = (
        -1 + noise(2, 4),
        -1 + noise(2, 4, seed=1),
        noise(2, 4, seed=2),
        noise(2, 4, seed=3) > 0,
    )
    expected = ppo_clip_loss(logp, old, advantage, 0.2, mask)
    spoilt = [
        each.masked_fill(~mask, value) for each, value in ((logp, math.nan), (old, -math.inf), (advantage, math.nan))
    ]
    spoilt[0].requires_grad_()
    loss = ppo_clip_loss(*spoilt, 0.2, mask)
    loss.backward()
    torch.testing.assert_close(loss.detach(), expected)
    assert spoilt[0].grad.isfinite().all()
    assert ppo_clip_loss(*spoilt, 0.2, torch.zeros(2, 4, dtype=torch.bool)).item() == 0


# -- generalized_advantages ----------------------------------------------------------------------------------------


def test_gae_by_hand() -> None:
    # rewards 1, 0, 4; values 2, 3, 2; gamma = lam = 1/2
    # surprises: 1 + 3/2 - 2 = 0.5;  0 + 2/2 - 3 = -2;  4 + 0 - 2 = 2
    # from the end: 2;  -2 + 2/4 = -1.5;  0.5 - 1.5/4 = 0.125
    found = generalized_advantages(doubles([1, 0, 4]), doubles([2, 3, 2]), 0.5, 0.5)
    assert found[0].tolist() == pytest.approx([0.125, -1.5, 2.0])


@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.8), (1.0, 0.95), (0.7, 0.0), (0.0, 0.5), (0.6, 1.0)])
def test_gae_equals_its_explicit_double_sum(gamma: float, lam: float) -> None:
    rewards, values = noise(3, 6), noise(3, 6, seed=1)
    found = generalized_advantages(rewards, values.requires_grad_(), gamma, lam)
    assert not found.requires_grad
    for row in range(3):
        r, v = rewards[row].tolist(), [*values[row].tolist(), 0.0]
        for t in range(6):
            total = 0.0
            for later in range(t, 6):
                total += (gamma * lam) ** (later - t) * (r[later] + gamma * v[later + 1] - v[later])
            assert found[row, t].item() == pytest.approx(total)


def test_with_lambda_one_an_advantage_is_what_came_less_what_was_expected() -> None:
    rewards, values, gamma = noise(2, 5), noise(2, 5, seed=1), 0.9
    returns = torch.stack([sum(gamma ** (k - t) * rewards[:, k] for k in range(t, 5)) for t in range(5)], dim=1)  # type: ignore[misc]
    torch.testing.assert_close(generalized_advantages(rewards, values, gamma, 1.0), returns - values)


# -- kl_shaped_rewards ---------------------------------------------------------------------------------------------


def test_kl_shaped_rewards_by_hand() -> None:
    # first answer:  -0.1 · (1, 0, -1) = (-0.1, 0, 0.1), and 2 on the last;  second: -0.1 · (1, -2) = (-0.1, 0.2), -1
    found = kl_shaped_rewards(
        doubles(2.0, -1.0),
        doubles([-1.0, -0.5, -2.0], [-1.0, -3.0, -9.0]),
        doubles([-2.0, -0.5, -1.0], [-2.0, -1.0, -7.0]),
        0.1,
        torch.tensor([[True, True, True], [True, True, False]]),
    )
    torch.testing.assert_close(found, doubles([-0.1, 0.0, 2.1], [-0.1, -0.8, 0.0]))


def test_the_rewards_of_an_answer_add_up_to_its_score_less_beta_times_the_log_ratio() -> None:
    logp, ref_logp, score = (-1 + noise(3, 6)).requires_grad_(), -1 + noise(3, 6, seed=1), noise(3, seed=2)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]], dtype=torch.bool)
    found = kl_shaped_rewards(score, logp, ref_logp, 0.3, mask)
    assert not found.requires_grad
    for row in range(3):
        pairs = zip(logp[row].tolist(), ref_logp[row].tolist(), mask[row].tolist(), strict=True)
        ratio = sum(ours - theirs for ours, theirs, kept in pairs if kept)
        expected = float(score[row]) * bool(mask[row].any()) - 0.3 * ratio
        assert found[row].sum().item() == pytest.approx(expected)
    assert (found[~mask] == 0).all()


# -- concept questions ---------------------------------------------------------------------------------------------


def test_the_chain_of_preferences() -> None:
    question = load_exercise(FOLDER / "bradley_terry_chain.py")
    reward_of_a = math.log(0.8 / 0.2) + math.log(0.7 / 0.3)  # C has 0
    assert question.references[0] == pytest.approx(sigmoid(reward_of_a))


def test_a_smaller_beta_lets_the_policy_move_farther() -> None:
    """Nine of ten choose the same answer: where the loss is smallest, the log-ratio is logit(0.9) / beta."""
    for beta in (0.05, 0.5):
        log_ratio = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([log_ratio], max_iter=200, line_search_fn="strong_wolfe")
        zero = torch.zeros(1, dtype=torch.float64)

        def closure(
            beta: float = beta, log_ratio: Any = log_ratio, zero: Any = zero, optimizer: Any = optimizer
        ) -> Any:
            optimizer.zero_grad()
            loss = 0.9 * dpo_loss(log_ratio, zero, zero, zero, beta)[0]
            loss = loss + 0.1 * dpo_loss(zero, log_ratio, zero, zero, beta)[0]
            loss.backward()
            return loss

        for _ in range(20):
            optimizer.step(closure)
        assert log_ratio.item() == pytest.approx(math.log(9) / beta, rel=1e-3)


# -- the small world -----------------------------------------------------------------------------------------------


def test_held_out_words_occur_in_no_training_text() -> None:
    def word(prompt: str) -> str:
        return prompt.split(" : ")[1].removesuffix(" =")

    seen = {text.split(" : ")[1].split(" = ")[0] for text in alignment.documents(3000)["text"]}
    seen |= {word(prompt) for prompt in alignment.instructions(800, seed=1)["prompt"]}
    held = {word(prompt) for prompt in alignment.instructions(300, seed=5, held_out=True)["prompt"]}
    assert len(held) == 300
    assert not held & seen


def test_every_text_has_a_token_for_every_word_and_fits() -> None:
    tokens = alignment.tokenizer()
    rows = alignment.instructions(200, seed=3)
    texts = [*alignment.documents(200)["text"], *(f"{row['prompt']} {row['response']}" for row in rows)]
    ids = tokens(texts, return_token_type_ids=False)["input_ids"]
    assert tokens.batch_decode(ids, skip_special_tokens=False) == texts
    assert max(map(len, ids)) < alignment.LONGEST
    for row in rows:
        assert alignment.is_right(row["response"], row["right"])


def test_the_log_probability_of_an_answer_is_that_of_its_tokens() -> None:
    model = alignment.tiny_gpt(width=16, layers=1, heads=2).eval()
    inputs, labels = instruction_labels([[3, 4], [5]], [[6], [7, 8, 9]], 0)
    found = alignment.log_probability(model, inputs, labels)
    for row, (begin, end) in enumerate(((2, 4), (1, 5))):
        logits = model(input_ids=inputs[row : row + 1, :end]).logits[0]
        each = -F.cross_entropy(logits[begin - 1 : end - 1], inputs[row, begin:end], reduction="sum")
        torch.testing.assert_close(found[row], each)


def test_the_annotator_prefers_right_and_polite_answers() -> None:
    tasks = alignment.instructions(300, seed=2)
    polite = [f"{right} {alignment.POLITE}" for right in tasks["right"]]
    pairs = alignment.preferences(tasks, polite, tasks["right"])
    share = sum(alignment.is_polite(chosen) for chosen in pairs["chosen"]) / len(pairs)
    assert share == pytest.approx(sigmoid(2.0), abs=0.08)  # 300 draws
    assert sum(pairs["foretold"]) / len(pairs) == pytest.approx(share)
    assert len(alignment.preferences(tasks, polite, polite)) == 0
