"""Texts with and without personal data, written for measuring the rule personal-data.

Numbers and addresses are made up or reserved for fiction and documentation; none belongs to a person.
"""

from __future__ import annotations

EMAIL = "an e-mail address"
PHONE = "a telephone number"
CARD = "a card number"
SSN = "a US social security number"

PERSONAL = (
    ("Write to jane.doe@acme-tools.com for a refund.", EMAIL),
    ("My address is m.okafor+orders@mail.example.co.uk, thanks.", EMAIL),
    ("<li>Support: help_desk@shop.example.de</li>", EMAIL),
    ("Reach Lena (lena@studio.example) or her assistant.", EMAIL),
    ('{"contact": "O.Brien@firm.example.ie"}', EMAIL),
    ("mailto:team@nonprofit.example.org?subject=Hello", EMAIL),
    ("He signs as info at garden dot example dot com.", EMAIL),
    ("Schreib an jürgen@büro.example.de, er hilft dir.", EMAIL),
    ("Call me at +1 415 555 2671 after six.", PHONE),
    ("Office: (415) 555-2671, second floor.", PHONE),
    ("Her cell is 212-555-0187.", PHONE),
    ("Fax 303.555.0142 still works.", PHONE),
    ("Ring us on +49 30 901820 until noon.", PHONE),
    ("Mobil: +49 (0)171 2345678", PHONE),
    ("UK line +44 20 7946 0958, ask for Sam.", PHONE),
    ("WhatsApp: +34612345678", PHONE),
    ("In Tokyo dial +81 3-1234-5678.", PHONE),
    ("Paris : 01 42 68 53 00, demandez Luc.", PHONE),
    ("Festnetz 030 901820, bitte vormittags.", PHONE),
    ("Call 4155552671 when you arrive.", PHONE),
    ("The card is 4539 5787 6362 1486, expiring in May.", CARD),
    ("card=4111111111111111&cvv=000", CARD),
    ("Amex 3782 822463 10005 was declined.", CARD),
    ("Mastercard 5555-5555-5555-4444", CARD),
    ("New series: 2223 0031 2200 3222", CARD),
    ("Discover 6011111111111117 on file", CARD),
    ("Split over lines: 4539 5787\n6362 1486", CARD),
    ("SSN 321-54-9876 on the form", SSN),
    ("his social is 536-22-1234.", SSN),
    ("SSN: 536221234", SSN),
)
"""Each text with the kind of personal data in it."""

NOT_PERSONAL = (
    "git clone git@github.com:org/project.git",
    "Use logo@2x.png and icon@3x.svg for dense screens.",
    "npm i @strudel/core@1.0.1 lodash@4.17.21",
    "@app.route('/')\nclass A: x = a @ b.T",
    "The mail came from noreply@service-mail.com.",
    "systemctl restart backup@daily.service",
    "Order 4539 5787 6362 1487 has shipped.",
    "Pi is 3.14159265358979323846.",
    "It took 1700000000000 ms, from 2024-01-02 03:04:05 on.",
    "x+1234567890 = 100 200 3000; 192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000",
    "Ranges: 000-12-3456 and 900-12-3456 and 123-456-7890123.",
    "Placeholder card 0000 0000 0000 0000.",
    "ISBN 978-3-16-148410-0, second edition.",
    "Version 10.0.19045.3570 of build 20231004.",
    "Part no. 115-555-2671 is out of stock.",
    "The sum is +00 0000 0000 by design.",
    "Coordinates +48.85837 +2.294481, altitude 330.",
    "IBAN DE89 3704 0044 0532 0130 00",
    "Tracking 1Z 999 AA1 01 2345 6784 arrives on 12-01-2025.",
    "SKU 2000-3000-4000-5001 in aisle 4",
    "Seeds: 8675309123456789 and 1234567812345670",
)
"""Texts that only look like it."""
