"""Named things in sentences, by a BiLSTM and a conditional random field."""
