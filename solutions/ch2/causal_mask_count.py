"""A causal mask and padding together (Vaswani et al., 2017, section 3.2.3): 8 positions, the last 3 of them padding."""

from autograder.exercise import ConceptQuestion

TIME, WORDS = 8, 5

exercise = ConceptQuestion(
    sum(min(query, WORDS) for query in range(1, TIME + 1)),
    points=1,
    objectives=["2.5"],
    title_en="What two masks leave",
    title_ja="二つのマスクが残すもの",
)
exercise.misconception(
    TIME * (TIME + 1) // 2,
    en="The padding is still looked at.",
    ja="パディングの位置がまだ見えています。",
    hint_en="Which columns does the second mask forbid, and in which rows were they still allowed by the first?",
    hint_ja="二つ目のマスクが禁じるのはどの列ですか。一つ目のマスクだけなら、それはどの行で許されていましたか。",
)
exercise.misconception(
    TIME * WORDS,
    en="The future is still looked at.",
    ja="未来の位置がまだ見えています。",
    hint_en="How many keys may the first position see?",
    hint_ja="最初の位置から見えてよいキーはいくつですか。",
)
exercise.misconception(
    WORDS * (WORDS + 1) // 2,
    en="The rows of the padding are left out, too.",
    ja="パディングの行まで除いています。",
    hint_en="A padding mask hides keys. Does it say anything about queries?",
    hint_ja="パディングマスクが隠すのはキーです。クエリについては何か言っているでしょうか。",
)
exercise.misconception(
    sum(min(query, WORDS) for query in range(TIME)),
    en="No position is allowed to look at itself.",
    ja="どの位置も自分自身を見られないことになっています。",
    hint_en="Is the diagonal of a causal mask True or False? What would the first row see otherwise?",
    hint_ja="因果マスクの対角成分は True ですか、False ですか。逆だったら、最初の行には何が見えるでしょうか。",
)
exercise.misconception(
    TIME * TIME - sum(min(query, WORDS) for query in range(1, TIME + 1)),
    en="The entries that are forbidden have been counted.",
    ja="禁じられているほうの要素を数えています。",
    hint_en="What does True mean in this course?",
    hint_ja="この教材で True は何を意味しますか。",
)
