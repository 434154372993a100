"""What one small subset can tell about two ways of training (after Dodge et al., 2020; Mosbach et al., 2021)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["3.4"],
    title_en="Two methods, sixteen examples, one draw",
    title_ja="二つの方法、16 例、一度の試行",
)
exercise.misconception(
    "a",
    en="You take a single difference for a fact, though chance alone moves the numbers by more.",
    ja="偶然だけでもそれ以上に動く値の、たった一度の差を事実とみなしています。",
    hint_en="By how much do two subsets drawn for the same method differ?",
    hint_ja="同じ方法でも、部分集合を引き直すと値はどれくらい変わるでしょうか。",
)
exercise.misconception(
    "b",
    en="You expect a larger test set to mend what the training set brings in.",
    ja="訓練データの側から来るばらつきを、テストデータを増やして減らせると考えています。",
    hint_en="What differs between two runs of the same method here: the texts that test it, or those it learns from?",
    hint_ja="ここで同じ方法の二回の実行の間で違うのは、テストする文でしょうか、それとも学習する文でしょうか。",
)
exercise.misconception(
    "d",
    en="You take the noise of small samples for a proof that nothing can be learnt from them.",
    ja="少数の例のばらつきを、何も学べない証拠だと考えています。",
    hint_en="A mean over several draws varies less than a single one. What would that make visible?",
    hint_ja="何度も引き直した平均は、一度の値よりばらつきが小さくなります。それで何が見えてくるでしょうか。",
)
