"""A few-shot prompt (Brown et al., 2020, section 2, figure 2.1), in a template of its own."""

from collections.abc import Sequence
from string import Template

from autograder.exercise import Exercise
from autograder.make import Make


def few_shot_prompt(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    """Write a prompt for a language model: an instruction, some solved examples, and the question that is left open.

    With two shots the prompt is, character by character (each line but the last ends with one "\\n"):

        {instruction}

        Input: {input of shot 1}
        Output: {output of shot 1}

        Input: {input of shot 2}
        Output: {output of shot 2}

        Input: {query}
        Output:

    One space stands after each "Input:" and each "Output:" of a shot. The last "Output:" ends the prompt: neither a
    space nor a line break follows it. All texts are put in just as they are, whatever they hold: braces, quotes,
    backslashes, line breaks, spaces at their ends, Japanese, or words of the template itself.

    Args:
        instruction: what is to be done; not empty.
        shots: (input, output) pairs, in the order in which they are shown. With none of them (zero-shot), the open
            question follows the instruction after one empty line.
        query: the input that the model is to answer.

    Returns:
        the prompt.
    """
    ### BEGIN SOLUTION
    blocks = [instruction]
    blocks += [f"Input: {given}\nOutput: {wanted}" for given, wanted in shots]
    blocks.append(f"Input: {query}\nOutput:")
    return "\n\n".join(blocks)
    ### END SOLUTION


exercise = Exercise(
    few_shot_prompt,
    points=2,
    objectives=["5.3", "prompts"],
    title_en="Few-shot prompt",
    title_ja="few-shot プロンプト",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the two shots of the text", ja="本文の二つの例")
def _(make: Make) -> dict[str, object]:
    shots = [("bread", "pain"), ("apple", "pomme")]
    return {"instruction": "Translate English to French.", "shots": shots, "query": "cherry tree"}


@exercise.visible(en="no shots", ja="例がない場合")
def _(make: Make) -> dict[str, object]:
    return {"instruction": "Answer with one word.", "shots": [], "query": "What is the capital of Japan?"}


@exercise.visible(en="braces, quotes and line breaks", ja="波括弧・引用符・改行を含む文字列")
def _(make: Make) -> dict[str, object]:
    shots = [("print({1: 'a'})", "\"{1: 'a'}\""), ("for x in y:\n    f(x)\n", "a loop")]
    return {"instruction": "What does it print? Use {} for 'nothing'.", "shots": shots, "query": 'd["{0}"] %s'}


@exercise.hidden(en="three shots, in Japanese", ja="日本語の三つの例")
def _(make: Make) -> dict[str, object]:
    pairs = [
        ("この映画は最高だった", "肯定"),
        ("退屈でした。", "否定"),
        ("また観たい！", "肯定"),
        ("眠い", "否定"),
    ]
    order = make.uniform(4).argsort().tolist()
    shots = [pairs[i] for i in order[:3]]
    return {"instruction": "次の感想は肯定的ですか、否定的ですか。", "shots": shots, "query": pairs[order[3]][0]}


@exercise.hidden(en="one question and no shot", ja="例なしの質問", weight=0.5)
def _(make: Make) -> dict[str, object]:
    number = int(make.integers(100, 1000))
    return {"instruction": f"Add up the digits of {number}.", "shots": [], "query": f"{number + 7}\n(in words)"}


@exercise.hidden(en="texts with braces and with words of the template", ja="波括弧やテンプレートの語を含む文字列")
def _(make: Make) -> dict[str, object]:
    shots = [("{query}", "{output} {0}"), ("Input: x\nOutput: y", "{}"), ("%(query)s $query", "{{instruction}}")]
    return {"instruction": "Copy. {instruction} {shots} {query}", "shots": shots, "query": "{unknown!r:>{width}}"}


@exercise.hidden(en="quotes, backslashes and tabs", ja="引用符・バックスラッシュ・タブ")
def _(make: Make) -> dict[str, object]:
    shots = [('it\'s "so"', "C:\\new\\table"), ("a\tb", "'''")]
    return {"instruction": "Don't change \\n or “these”.", "shots": shots, "query": '\\"\\u3042\\" あ'}


@exercise.hidden(en="spaces and line breaks at the ends of texts", ja="前後に空白や改行のある文字列")
def _(make: Make) -> dict[str, object]:
    shots = [("  two spaces before", "two after  "), ("\n", " \n\n"), ("", "nothing went in")]
    return {"instruction": "Keep the ends.\n", "shots": shots, "query": "\tlast one \n"}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="A space follows the last “Output:”.",
    ja="最後の “Output:” の後に空白が入っています。",
    hint_en="In many tokenizers the space belongs to the word that follows it. What is the model to write first after "
    "a prompt that already ends with one?",
    hint_ja="多くのトークナイザでは、空白は次の単語の一部です。プロンプトの末尾にもう空白があったら、"
    "モデルは続きを何から書けばよいのでしょうか。",
)
def space_at_the_end(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    text = instruction + "\n\n"
    for given, wanted in [*shots, (query, "")]:
        text += f"Input: {given}\nOutput: {wanted}\n\n"
    return text.removesuffix("\n\n")


@exercise.mistake(
    en="A line break follows the last “Output:”.",
    ja="最後の “Output:” の後に改行が入っています。",
    hint_en="Print repr of your prompt and look at its last characters. Where did the shots' outputs stand: on the "
    "line of “Output:” or on the next one?",
    hint_ja="プロンプトの repr を表示して、末尾の文字を見てみましょう。例の出力が書かれていたのは、"
    "“Output:” と同じ行でしょうか、次の行でしょうか。",
)
def line_break_at_the_end(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    return few_shot_prompt(instruction, shots, query) + "\n"


@exercise.mistake(
    en="The empty lines between the blocks are missing.",
    ja="ブロックの間の空行がありません。",
    hint_en="How many line breaks are there between the end of one line and the next line if one line is left empty?",
    hint_ja="一行空けるとき、行の終わりから次の行までに、改行文字はいくつ必要でしょうか。",
)
def no_empty_lines(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    lines = [instruction]
    for given, wanted in shots:
        lines += [f"Input: {given}", f"Output: {wanted}"]
    return "\n".join([*lines, f"Input: {query}", "Output:"])


@exercise.mistake(
    en="The texts are put in first, and then the whole is formatted once more: braces that belong to a text are taken "
    "for places to fill.",
    ja="文字列を入れた後で、全体をもう一度 format しています。文字列の中の波括弧が、埋めるべき場所とみなされます。",
    hint_en="What does str.format do to a text in which somebody shows a piece of Python, {'a': 1}?",
    hint_ja="{'a': 1} のような Python のコードが文字列に入っていたら、str.format は何をするでしょうか。",
)
def formatted_after_joining(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    template = instruction + "\n\n"
    for given, wanted in shots:
        template += f"Input: {given}\nOutput: {wanted}\n\n"
    template += "Input: {query}\nOutput:"
    return template.format(query=query)


@exercise.mistake(
    en="The query is put in by a search for its placeholder, which also finds the same word in the user's own texts.",
    ja="query を置換で入れているため、利用者の文字列に偶然含まれる同じ目印まで置き換わります。",
    hint_en="What happens to an instruction that speaks of {query} itself?",
    hint_ja="指示文そのものに {query} という文字列が含まれていたら、どうなるでしょうか。",
)
def replaced_everywhere(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    return few_shot_prompt(instruction, shots, "{query}").replace("{query}", query)


@exercise.mistake(
    en="The texts are written as Python would show them, in quotes and with \\n for a line break.",
    ja="文字列が Python の表示形式（引用符付き、改行は \\n）のまま入っています。",
    hint_en="What is the difference between str(text) and repr(text)? The model reads characters, not Python.",
    hint_ja="str(text) と repr(text) の違いは何でしょうか。モデルが読むのは文字であって、Python の表記ではありません。",
)
def shown_by_repr(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    return few_shot_prompt(instruction, [(f"{given!r}", f"{wanted!r}") for given, wanted in shots], f"{query!r}")


@exercise.mistake(
    en="The shots stand in reverse order.",
    ja="例の順序が逆になっています。",
    hint_en="Which shot stands right above the query in your prompt? A model gives much weight to what it read last.",
    hint_ja="質問のすぐ上にあるのは、どの例でしょうか。モデルは、最後に読んだものに引きずられがちです。",
)
def reversed_shots(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    return few_shot_prompt(instruction, list(reversed(shots)), query)


@exercise.mistake(
    en="Spaces and line breaks at the ends of the texts are cut off.",
    ja="文字列の前後の空白や改行が取り除かれています。",
    hint_en="A program that is shown to the model may begin with four spaces. Does the text allow you to take them "
    "away?",
    hint_ja="モデルに見せるプログラムは、四つの空白で始まるかもしれません。それを取り除いてよいと本文に書かれていますか。",
)
def stripped(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    cut = [(given.strip(), wanted.strip()) for given, wanted in shots]
    return few_shot_prompt(instruction.strip(), cut, query.strip())


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def piece_by_piece(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    """Strings are added up."""
    text = instruction
    for pair in shots:
        text += "\n\nInput: " + pair[0] + "\nOutput: " + pair[1]
    return text + "\n\nInput: " + query + "\nOutput:"


@exercise.accepted
def with_format(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    """str.format is right where it is given the pieces, and never a text of the user's as its template."""
    examples = "".join("Input: {}\nOutput: {}\n\n".format(*shot) for shot in shots)
    return "{}\n\n{}Input: {}\nOutput:".format(instruction, examples, query)  # noqa: UP032


@exercise.accepted
def with_percent_and_lines(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    """A list of lines, the empty ones among them."""
    lines: list[str] = [instruction, ""]
    for given, wanted in shots:
        lines.extend(("Input: %s" % given, "Output: %s" % wanted, ""))  # noqa: UP031
    lines.extend(["Input: " + query, "Output:"])
    return str.join("\n", lines)


@exercise.accepted
def with_a_template(instruction: str, shots: Sequence[tuple[str, str]], query: str) -> str:
    """string.Template does not look again at what it has put in."""
    shot = Template("Input: $given\nOutput: $wanted")
    shown = [shot.substitute(given=given, wanted=wanted) for given, wanted in shots]
    return "\n\n".join((instruction, *shown, shot.substitute(given=query, wanted="")[:-1]))
