-- The secret question: one more thing to be known before a forgotten password is set anew, where a creditor wants it; it never proves anything by
-- itself.

-- What a creditor asks for beyond what everybody is asked.
CREATE TABLE access_rule (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- 1: who has chosen a secret question is asked it.
    secret_question BIGINT NOT NULL,
    PRIMARY KEY (creditor)
);

-- What a guardian chose.
CREATE TABLE secret_question (
    creditor TEXT NOT NULL,
    guardian UUID NOT NULL,
    -- pet, dish, street, friend, teacher; null where it was taken back
    question TEXT,
    -- argon2id in PHC form, of the letters and digits of the answer, small and without accents.
    answer_hash TEXT,
    PRIMARY KEY (creditor, guardian),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);
