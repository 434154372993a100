"""The loss of a masked language model that has learned nothing: -ln(1 / V)."""

import math

from autograder.exercise import ConceptQuestion

WORDS = 20_000

exercise = ConceptQuestion(
    round(math.log(WORDS), 4),
    points=1,
    objectives=["3.2"],
    title_en="The loss before training",
    title_ja="学習前の損失",
    rtol=2e-3,
)
exercise.misconception(
    round(math.log2(WORDS), 4),
    en="The logarithm is taken to base 2.",
    ja="底が 2 の対数をとっています。",
    hint_en="Which logarithm does PyTorch's log_softmax take?",
    hint_ja="PyTorch の log_softmax で使われる対数は、どの対数でしょうか。",
)
exercise.misconception(
    round(math.log10(WORDS), 4),
    en="The logarithm is taken to base 10.",
    ja="底が 10 の対数（常用対数）をとっています。",
    hint_en="Which logarithm does PyTorch's log_softmax take?",
    hint_ja="PyTorch の log_softmax で使われる対数は、どの対数でしょうか。",
)
exercise.misconception(
    round(0.15 * math.log(WORDS), 4),
    en="The loss is averaged over all tokens, those in plain view included.",
    ja="見えているトークンも含めた、すべてのトークンについて平均しています。",
    hint_en="By what is the sum of the losses divided in masked_lm_loss?",
    hint_ja="masked_lm_loss では、損失の和を何で割りましたか。",
)
exercise.misconception(
    round(0.8 * math.log(WORDS), 4),
    en="Only the tokens that became [MASK] are counted, and the others as if they cost nothing.",
    ja="[MASK] になったトークンだけを数え、選ばれたほかのトークンの損失を 0 とみなしています。",
    hint_en="What does a model that has learned nothing know of a chosen token that is shown as it is?",
    hint_ja="選ばれてそのまま残ったトークンについて、何も学んでいないモデルは何を知っているでしょうか。",
)
exercise.misconception(
    1 / WORDS,
    en="That is the probability of the right word, not the loss.",
    ja="それは正しい単語の確率で、損失ではありません。",
    hint_en="The loss is the mean of -log p. What is p here?",
    hint_ja="損失は -log p の平均です。ここでの p はいくつですか。",
)
exercise.misconception(
    -round(math.log(WORDS), 4),
    en="The sign is missing: the logarithm of a probability is negative, the loss is not.",
    ja="符号が逆です。確率の対数は負ですが、損失は負にはなりません。",
    hint_en="What stands before the logarithm in the formula of the loss?",
    hint_ja="損失の式で、対数の前には何が付いていますか。",
)
