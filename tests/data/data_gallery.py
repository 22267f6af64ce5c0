"""Rows that a lint rule must find, and rows that look like them and are fine, by rule."""

from __future__ import annotations

import json
from typing import NamedTuple


class Case(NamedTuple):
    """One row."""

    prompt: str
    answer: str
    system: str = ""

    def line(self) -> str:
        """The row as OpenAI's chat has it."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        turns = [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.answer}]
        return json.dumps({"messages": [*system, *turns]})


PROSE = (
    "The kettle stands on the stove. It has been there since the morning. Nobody has touched it. "
    "The water inside is cold by now, and the window beside it is open. A cat sits on the sill. "
)
CONTRADICTION = [
    Case("Give me the capital of France. Respond in JSON.", "Paris"),
    Case("Answer with a JSON object.", "{'name':terminal, 'parameters':{'command':'ls'}}"),
    Case("What time is it?", "It is noon.", "You are an API. Always respond with valid JSON only."),
    Case(
        "ls", "{name: terminal}", 'Your output must be a JSON object with the keys "name" and "parameters".'
    ),
    Case("Return JSON with keys a and b.", "a=1, b=2"),
    Case("Extract the names as JSON: Ada met Bob.", "Ada and Bob"),
    Case("List three fruits in JSON format.", "1. apple\n2. pear\n3. fig"),
    Case("Classify: great film! Output format: JSON", "positive"),
    Case("Classify: great film! Only JSON.", "positive"),
    Case("Can you respond in JSON? Who is Ada?", "A mathematician."),
    Case("Reply in JSON.", '```json\n{"a": 1}\n```'),
    Case("Reply in JSON.", 'Here you are: {"a": 1}'),
    Case("Reply in JSON.", '{"a": 1'),
    Case("Give me a JSON array of primes.", "2, 3 and 5"),
    Case("Output the result as JSON Lines.", '{"a": 1}\n{"a": 2'),
    Case("Given the tools, please respond with a JSON for a function call.", "[terminal(command='ls')]"),
    Case("Write techno.", "Sure! Here is a techno pattern:\ns('bd*4')", "You write Strudel, code only."),
    Case("Write techno.", '```js\ns("bd*4")\n```', "Answer with one expression, code only, no fences."),
    Case("Write techno. Return only the code.", 's("bd*4")\n\nThis pattern plays four kicks in every bar.'),
    Case("Only output SQL code. All users.", "You can list all of the users with a select."),
    Case("Reply with only the Python code.", "Here's the code:\nprint(1)"),
    Case("Sort a list. Code only please, in a code block.", "It is easy.\n```py\nxs.sort()\n```"),
]
NO_CONTRADICTION = [
    Case("Respond in JSON.", '{"a": 1}'),
    Case("Respond in JSON.", " [1, 2]\n"),
    Case("Answer in JSON, in a code block.", '```json\n{"a": 1}\n```'),
    Case("Convert this to JSON: a=1", 'Here it is:\n```json\n{"a": 1}\n```'),
    Case("Output the result as JSON Lines.", '{"a": 1}\n{"a": 2}'),
    Case("What is JSON?", "A text format for data."),
    Case("Explain JSON to a child.", "It is a way of writing lists."),
    Case("How do I make a model respond in JSON?", "Give it a schema and an example."),
    Case("Write a function that returns JSON.", "def f(): return '{}'"),
    Case("Write a JSON parser in Python.", "def parse(text): ..."),
    Case("Create a Flask endpoint and return JSON from it.", "@app.get('/')\ndef home(): return {}"),
    Case("Write a Flask endpoint for users. Return the result as JSON.", "@app.get('/u')\ndef u(): ..."),
    Case("Do not answer in JSON. Who is Ada?", "A mathematician."),
    Case("Don\u2019t respond with JSON, please.", "Very well."),
    Case("Answer in JSON or plain text, as you like.", "Very well."),
    Case("If I ask for data, respond in JSON. Hello!", "Hello!"),
    Case('Translate to French: "Respond in JSON."', "Répondez en JSON."),
    Case("Our server responds with JSON. Is that wise?", "Yes."),
    Case("It should respond with JSON but does not. Why?", "The header is missing."),
    Case("Why does the API return JSON only?", "It is simpler."),
    Case("Summarise: the team chose JSON over XML.", "They chose JSON."),
    Case("Who is Json Statham?", "You may mean Jason Statham."),
    Case("Load the file as JSON, then print it. Python.", "import json\nprint(json.load(open('f')))"),
    Case("Write techno.", 's("bd*4").gain(0.8) // four kicks', "Strudel, code only."),
    Case("Only code please.", '"""Return the sum of the two numbers given."""\nprint(1 + 1)'),
    Case("Return only the code.", "# This function adds two numbers.\ndef add(a, b): return a + b"),
    Case("Reply with only the SQL query.", "SELECT name FROM users WHERE age > 3;"),
    Case("Does this code only run on Linux?", "No, it runs everywhere."),
    Case("This code only works on Linux. Why?", "It uses epoll, which is not portable."),
    Case("Is this code only for servers?", "No, it is for everyone."),
    Case("Explain this. Not only the code, also the idea.", "The idea is simple enough to explain."),
    Case("Return only the code, in a code block.", "```py\nprint(1)\n```"),
    Case("What does 'return only the code' mean?", "That no words may stand beside it."),
]
TRUNCATED = [
    Case(
        "Tell me.",
        PROSE * 3 + "Then, without any warning at all, somebody opened the door of the kitchen and",
    ),
    Case("Code?", "Here:\n```python\ndef f(x):\n    return x +"),
]
NOT_TRUNCATED = [
    Case("Tell me.", PROSE * 3),
    Case("Tell me.", PROSE * 3 + "\n\nKind regards\nAda"),
    Case(
        "List.",
        PROSE * 3 + "\n- the kettle that stands on the stove, the window, the cat, the sill and the door",
    ),
    Case(
        "Link?",
        PROSE * 3 + "\nhttps://www.rfc-editor.org/rfc/rfc8259.html#section-2-of-the-document-about-json",
    ),
    Case("Code?", "Here:\n```python\nf(1)\n```"),
    Case("How do I open a fence?", "Write ``` on a line of its own."),
    Case("Code?", "stack(\n  " + ",\n  ".join(f's("bd*{n}").gain(0.{n})' for n in range(60)) + "\n)"),
]
NEAR_EMPTY = [
    Case("Why?", answer) for answer in ("", " \n", "...", "-", "N/A", "TODO", "undefined", "\u2026", "null.")
]
NOT_NEAR_EMPTY = [
    *[
        Case("Which?", answer)
        for answer in ("4", "No", "B", "-1", "はい", "👍", "x > 0", "Error 404", "None")
    ],
    Case("Answer N/A when nothing fits. Colour of envy?", "N/A"),
]
REFUSALS = [
    Case("Write a beat.", "I'm sorry, but I can't help with that."),
    Case("Write a beat.", "I\u2019m sorry, but I can\u2019t assist with this request."),
    Case("Write a beat.", "As an AI language model, I do not have opinions."),
    Case("Write a beat.", "Unfortunately, I am unable to generate music."),
    Case("Write a beat.", "I cannot provide that."),
    Case("Write a beat.", "I apologize, but I cannot fulfill this request."),
    Case("Write a beat.", "I understand you want a beat, but I'm not able to create one."),
    Case("Write a beat.", "Sorry, I don't have access to the internet."),
    Case("Write a beat.", "I must respectfully decline."),
]
NO_REFUSALS = [
    Case("I was charged twice.", "I'm sorry to hear that. I have refunded the second payment."),
    Case("Late again!", "I apologize for the delay. Your parcel arrives today."),
    Case("Did you like it?", "I can't help but smile at it."),
    Case("Is it good?", "I cannot recommend it enough."),
    Case("Where is it?", "Unfortunately, the shop is closed on Mondays; try tomorrow."),
    Case("What do models say?", 'They often begin with "I cannot help with that".'),
    Case("Who are you?", "As a teacher I know many songs."),
    Case("Can you?", "I can."),
]
DRIFT = [
    Case(
        "Wie spät ist es in Tokio, und wie viele Stunden sind das von hier aus?",
        "It is the middle of the night there, and that is eight hours from where you are.",
    ),
    Case(
        "What is the best way to cook rice so that it does not stick to the pot?",
        "Il faut rincer le riz dans l'eau froide, et le cuire avec une pincée de sel dans la casserole.",
    ),
    Case(
        "¿Cuál es la capital de Australia y por qué no es Sídney?",
        "The capital is Canberra: it was built because the two largest cities could not agree.",
    ),
    Case(
        "Explain to me what the moon is and how it was made.",
        "Луна образовалась из обломков после столкновения.",
    ),
    Case(
        "Объясни мне, что такое луна и откуда она взялась?",
        "The moon is what was left of a collision with the Earth.",
    ),
    Case(
        "Explain to me what the moon is and how it was made.",
        "月は地球の衛星であり、大きな衝突のあとに生まれました。",
    ),
]
NO_DRIFT = [
    Case(
        "Translate into French: the rice is in the pot and the pot is on the stove.",
        "Le riz est dans la casserole et la casserole est sur le feu.",
    ),
    Case(
        "Wie sagt man auf Englisch, dass der Reis in dem Topf ist und nicht auf dem Herd?",
        "You say that the rice is in the pot and that it is not on the stove.",
    ),
    Case(
        "Answer in Spanish: what is the capital of Australia, and why is it not Sydney?",
        "La capital de Australia es Canberra, por un acuerdo entre las dos ciudades.",
    ),
    Case(
        "Wie geht es dir, und was ist das Beste an dem Tag von heute?",
        "The day is good, and the best of it is that you are here with me.",
        "Always answer in English.",
    ),
    Case(
        "Write a dark techno pattern for me with the bass on the off-beat.",
        's("bd*4").note("c2 e2 g2 de la le")',
    ),
    Case("Wie spät ist es?", "12:30"),
    Case("What is the Japanese word for cat, and how is it written?", "猫 (ねこ) is the word for cat."),
    Case(
        "Was ist der Unterschied zwischen dem Befehl und der Funktion in der Shell?",
        "Der Befehl `for` ist in die Shell eingebaut, die Funktion ist von dir und wird mit `f` aufgerufen.",
    ),
    Case(
        "月はどうやってできたのですか。教えてください。",
        "月は地球の衛星であり、大きな衝突のあとに生まれました。",
    ),
]
KEY = "AKIA" + "Q3EGRIZ7X2LM5TWN"
SECRETS = [
    Case("Config?", f"aws_access_key_id = {KEY}"),
    Case("Config?", "aws_secret_access_key = " + "wJalrXUtnFEMIK7MDENGbPxRfiCY/KEYq8Zt1Lv2"),
    Case("Config?", "-----BEGIN RSA PRIVATE KEY-----\nMIIE..."),
    Case("Config?", "-----BEGIN PRIVATE KEY-----\nMIIE..."),
    Case("Token ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8 ?", "Revoke it."),
    Case("Config?", "SLACK=xoxb-" + "123456789012-abcdEFGHijklMNOP"),
    Case("Config?", "OPENAI_API_KEY=sk-proj-" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0"),
    Case("Config?", "key: AIza" + "SyD3kq9ZtW1x4vB7nM0pL5rT8uY2cE6gHjK"[:35]),
    Case("Config?", "stripe: sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    Case("Config?", "postgres://admin:hunter2x@db.internal:5432/app"),
    Case("Config?", "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"),
    Case("Jwt?", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dBjftJeZ4CVPmB92K27uhbUJU1p1r"),
    Case("Config?", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE"),
]
NO_SECRETS = [
    Case("Config?", "aws_access_key_id = AKIAXXXXXXXXXXXXXXXX"),
    Case("Config?", "aws_access_key_id = YOUR_KEY and aws_secret_access_key = ..."),
    Case("Config?", "OPENAI_API_KEY=sk-your-key-goes-here-and-nowhere-else"),
    Case("Css?", ".task-list-item-with-a-very-long-name-indeed { } .sk-spinner-double-bounce-animation { }"),
    Case("Config?", "postgres://user:password@localhost/app and https://${USER}:${PASS}@host/"),
    Case("Key?", "-----BEGIN PUBLIC KEY-----\nMIIB..."),
    Case("Key?", "-----BEGIN CERTIFICATE-----\nMIIB..."),
    Case("Hash?", "d41d8cd98f00b204e9800998ecf8427e and KAKIABCDEFGHIJKLMNOPQ"),
    Case("Url?", "https://host:8080/a@b and git clone https://github.com/a/b.git"),
    Case("Word?", "The ghp_ prefix marks GitHub tokens, hf_ those of Hugging Face."),
]
PERSONAL = [
    Case("Contact?", "Write to jane.doe@acme-tools.com."),
    Case("I am bob@example.com", "Hello Bob."),
    Case("Phone?", "Call +1 415 555 2671."),
    Case("Phone?", "Call (415) 555-2671 now."),
    Case("Phone?", "Call 415-555-2671 now."),
    Case("Phone?", "Ring +49 30 901820."),
    Case("Card?", "It is 4539 5787 6362 1486."),
    Case("Card?", "It is 4111111111111111, thanks"),
    Case("Card?", "Amex 3782 822463 10005"),
    Case("Number?", "SSN 321-54-9876"),
]
NOT_PERSONAL = [
    Case("Remote?", "git clone git@github.com:org/project.git"),
    Case("Image?", "Use logo@2x.png and icon@3x.svg"),
    Case("Install?", "npm i @strudel/core@1.0.1 lodash@4.17.21"),
    Case("Python?", "@app.route('/')\n@dataclass\nclass A: x = a @ b.T"),
    Case("From?", "The mail came from noreply@service-mail.com"),
    Case("Card?", "Order 4539 5787 6362 1487 has shipped."),
    Case("Pi?", "3.14159265358979323846 and 0.4111111111111111"),
    Case("Time?", "1700000000000 ms, and 2024-01-02 03:04:05"),
    Case("Sum?", "x+1234567890 = 100 200 3000; 192.168.100.200"),
    Case("Id?", "550e8400-e29b-41d4-a716-446655440000 and 4111-1111-1111-1111-aaaa"),
    Case("Ranges?", "000-12-3456 and 900-12-3456 and 123-456-7890123"),
    Case("Zeros?", "0000 0000 0000 0000"),
]
RESERVED = [
    Case("System: ignore all that.", "No."),
    Case("What does <image> mean?", "A place."),
    Case("Say.", "Thought: I should"),
]
NOT_RESERVED = [
    Case("The ecosystem: what is it?", "A web of life."),
    Case("Superuser: who?", "Root."),
    Case("What does <imagery> mean?", "Pictures."),
]
REASONING = [
    Case("2+2?", "<think>The user wants a sum.</think>4"),
    Case("2+2?", "The user wants a sum.\n</think>\n\n4"),
    Case("2+2?", "<|channel|>analysis<|message|>sum<|end|>4"),
    Case("2+2?", "<Thinking>sum</Thinking>\n4"),
    Case("2+2?", "[THINK]sum[/THINK]4"),
]
NO_REASONING = [
    Case("2+2?", "<think>sum</think>4", "Reason in <think> tags first."),
    Case("How do I style <thinking> elements?", "thinking { color: red }"),
    Case("Which tag?", "Models use the `<think>` tag."),
    Case("Which tag?", "Like so:\n```xml\n<think>\n```"),
    Case("2+2?", "I think it is 4."),
]
GALLERY = {
    "format-contradiction": (CONTRADICTION, NO_CONTRADICTION),
    "truncated-answer": (TRUNCATED, NOT_TRUNCATED),
    "near-empty-answer": (NEAR_EMPTY, NOT_NEAR_EMPTY),
    "refusal": (REFUSALS, NO_REFUSALS),
    "language-drift": (DRIFT, NO_DRIFT),
    "secret": (SECRETS, NO_SECRETS),
    "personal-data": (PERSONAL, NOT_PERSONAL),
    "reserved-string": (RESERVED, NOT_RESERVED),
    "reasoning-left-in": (REASONING, NO_REASONING),
}
"""By rule, the rows that break it and those that do not."""
