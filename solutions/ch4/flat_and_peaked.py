"""What a fixed k and a fixed p do to a flat and to a peaked distribution (Holtzman et al., 2020, section 3)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "a",
    choices="abcd",
    points=1,
    objectives=["4.4"],
    title_en="Flat and peaked distributions",
    title_ja="平らな分布と尖った分布",
)
exercise.misconception(
    "b",
    en="You take p for a fixed share of the vocabulary.",
    ja="p を、語彙のうちの決まった割合だと考えています。",
    hint_en="What is added up until p is reached: tokens, or their probabilities?",
    hint_ja="p に達するまで足していくのは、トークンの個数でしょうか、その確率でしょうか。",
)
exercise.misconception(
    "c",
    en="You expect top-p to keep fewer tokens where none of them stands out.",
    ja="どのトークンも際立っていないときに、top-p で残るトークンが少なくなると考えています。",
    hint_en="How many tokens of 2 % each does it take to reach 90 %?",
    hint_ja="2 % ずつのトークンで 90 % に達するには、いくつ必要ですか。",
)
exercise.misconception(
    "d",
    en="You expect a low temperature to rule tokens out.",
    ja="温度を下げると、選ばれなくなるトークンがあると考えています。",
    hint_en="Logits are divided by 0.7. Does any probability become exactly 0?",
    hint_ja="ロジットを 0.7 で割ります。ちょうど 0 になる確率はありますか。",
)
