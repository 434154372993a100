"""A factor of the linear schedule, worked by hand: step 750 of 1200, of which 200 are warm-up."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    0.45,  # (1200 - 750) / (1200 - 200)
    points=1,
    objectives=["3.3"],
    title_en="A learning rate on its way down",
    title_ja="下降の途中の学習率",
)
exercise.misconception(
    0.375,
    en="The way down is measured from step 0, as if there were no warm-up.",
    ja="ウォームアップがないかのように、下降をステップ 0 から測っています。",
    hint_en="At which step does the way down begin, and how many steps does it have?",
    hint_ja="下降が始まるのはどのステップで、全部で何ステップありますか。",
)
exercise.misconception(
    0.55,
    en="That is the part of the way down that is behind, not the part that is left.",
    ja="それは下降のうち済んだ割合で、残りの割合ではありません。",
    hint_en="What is the factor at the end of the warm-up, and what at the last step? Yours lies between them.",
    hint_ja="ウォームアップの終わりと最後のステップで、係数はそれぞれいくつですか。答えはその間にあり、"
    "後になるほど小さくなるはずです。",
)
exercise.misconception(
    0.625,
    en="That is the part of all steps that has been made.",
    ja="それは全ステップのうち済んだ割合です。",
    hint_en="The factor is a line from 1 down to 0 here. Between which two steps?",
    hint_ja="ここでの係数は、1 から 0 に下がる直線です。どのステップからどのステップまででしょうか。",
)
exercise.misconception(
    3.75,
    en="The line of the warm-up is followed on, beyond its end.",
    ja="ウォームアップの直線を、終わりを過ぎてもそのまま延ばしています。",
    hint_en="The factor is never above 1. Which of the two lines holds at step 750?",
    hint_ja="係数が 1 を超えることはありません。ステップ 750 で使うのは、二つの直線のどちらですか。",
)
exercise.misconception(
    1,
    en="You take the schedule for one that stays at 1 after the warm-up.",
    ja="ウォームアップの後は 1 のままのスケジュールだと考えています。",
    hint_en="What is the factor to be at the last step?",
    hint_ja="最後のステップでは、係数はいくつになりますか。",
)
