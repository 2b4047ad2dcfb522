//! What a trace runs on.

/// A block as all subjects see it: the source's three words, at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from the aligned start of the subject's memory to the header.
    pub offset: usize,
    /// Bytes of the block, header included.
    pub size: usize,
    /// 1 if somebody holds it.
    pub in_use: u64,
    /// Whose it is, 0 if it is free.
    pub tag: u64,
}

/// A heap of any make. Payloads are named by their offset from the aligned start of its memory, so that
/// subjects in different memory can be compared.
pub trait Subject {
    /// What to call it.
    fn name(&self) -> &'static str;

    /// Says whether memory may grow from now on.
    fn refuse(&mut self, refused: bool);

    /// Allocates; the payload's offset, or `None` if refused.
    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize>;

    /// Deallocates the payload at an offset; whether a block was there.
    fn deallocate(&mut self, offset: usize) -> bool;

    /// Releases a tag; how many blocks that were, or `None` if the tag may not be.
    fn release(&mut self, tag: u64) -> Option<usize>;

    /// Lists all blocks but the heap's own in the order of their addresses.
    fn pieces(&self, list: &mut Vec<Piece>);

    /// The bytes of a payload, where the subject has any.
    fn payload(&self, _offset: usize, _length: usize) -> Option<Vec<u8>> {
        None
    }

    /// Writes a byte all over a payload, where the subject has any.
    fn fill(&mut self, _offset: usize, _length: usize, _byte: u8) {}

    /// What the subject finds wrong with itself.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// A picture of its row.
    fn draw(&self) -> String;
}
