"""The research questions: size of the data, gains in each language, linguistic similarity, domain shift."""
