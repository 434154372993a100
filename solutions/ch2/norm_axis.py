"""Layer norm against batch norm: over which axes the mean runs (Ba, Kiros and Hinton, 2016, sections 2 and 3)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["2.4"],
    title_en="The same token in other company",
    title_ja="同じトークンを別のバッチに入れると",
)
exercise.misconception(
    "a",
    en="You take layer norm's mean over batch and time: that is batch norm's.",
    ja="レイヤー正規化の平均を、バッチと時間の方向にとっています。それはバッチ正規化の平均です。",
    hint_en="How many means does layer norm work out for a tensor of shape (32, 50, 512)?",
    hint_ja="形状 (32, 50, 512) のテンソルに対して、レイヤー正規化が求める平均は何個ですか。",
)
exercise.misconception(
    "b",
    en="You take gain and shift, which are learned, for the mean and the variance, which are measured.",
    ja="学習されるゲインとシフトを、そのつど測られる平均や分散と取り違えています。",
    hint_en="From which numbers do μ and σ² come while a model is being trained?",
    hint_ja="学習中、μ と σ² はどの数から求められますか。",
)
exercise.misconception(
    "c",
    en="You take layer norm's mean over a whole sentence.",
    ja="レイヤー正規化の平均を、文全体にわたってとっています。",
    hint_en="Suppose that a word of the sentence is exchanged. Does μ of another word change?",
    hint_ja="文の中の単語を一つ取り替えると、別の単語の μ は変わるでしょうか。",
)
