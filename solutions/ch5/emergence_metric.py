"""What a jump under one metric says (Schaeffer, Miranda and Koyejo, 2023)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["5.2"],
    title_en="What a jump says",
    title_ja="急な立ち上がりが意味すること",
)
exercise.misconception(
    "a",
    en="You read the jump of a metric as a jump within the models.",
    ja="指標の急な立ち上がりを、モデルの中身の急な変化と読んでいます。",
    hint_en="Put 0.5, 0.7, 0.9 and 0.99 for a token's accuracy, and raise each to the power of 20.",
    hint_ja="トークン正解率を 0.5、0.7、0.9、0.99 として、それぞれ 20 乗してみましょう。",
)
exercise.misconception(
    "c",
    en="You conclude more than the figures hold: that a smooth explanation is possible does not make it the only one.",
    ja="数値からわかる以上のことを結論しています。なめらかな説明ができても、それだけが正しいとは限りません。",
    hint_en="Which measurement would have to be made before one could say so?",
    hint_ja="そう言い切るには、その前に何を測らなければならないでしょうか。",
)
exercise.misconception(
    "d",
    en="You take an exact match of zero for a model that knows nothing about the task.",
    ja="完全一致率が 0 なら、モデルはそのタスクについて何も知らない、と考えています。",
    hint_en="How often does a model get 20 tokens right in a row if it gets half of them right?",
    hint_ja="半分のトークンで正解するモデルが、20 トークン続けて正解するのは、どれくらいの頻度でしょうか。",
)
