"""What a model can exploit in next sentence prediction (after Lan et al., 2020, section 3.1; Liu et al., 2019)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["3.2"],
    title_en="The shortcut in next sentence prediction",
    title_ja="次文予測の抜け道",
)
exercise.misconception(
    "a",
    en="You take the segment ids to differ between right and wrong pairs.",
    ja="セグメント ID が、正しい対と誤った対で違うと考えています。",
    hint_en="Write down the segment ids of a right pair and of a wrong one. What do they depend on?",
    hint_ja="正しい対と誤った対のセグメント ID を書き出してみましょう。何によって決まっていますか。",
)
exercise.misconception(
    "c",
    en="You expect a bias of the labels.",
    ja="ラベルに偏りがあると考えています。",
    hint_en="How large is the share of each label? What would this model reach on the pairs of the test?",
    hint_ja="それぞれのラベルの割合はいくつですか。その方法だと、テストの正解率はどれくらいになりますか。",
)
exercise.misconception(
    "d",
    en="You take the high accuracy for a proof that the model follows the thread of the text.",
    ja="正解率の高さを、文章のつながりを理解している証拠だと考えています。",
    hint_en="Then what should it have said when the two sentences changed places?",
    hint_ja="そうだとすれば、二文を入れ替えたとき、どう答えるはずでしょうか。",
)
