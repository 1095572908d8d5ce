//! Choices made by a fuzzer's bytes. Compiled only with the feature `fuzzing`.

/// Reads choices from the fuzzer's bytes; zero once they are used up.
#[derive(Debug)]
pub(crate) struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Mostly small numbers, sometimes those at the limits of 32 bits.
    pub fn number(&mut self) -> u32 {
        match self.byte() {
            small if small < 200 => u32::from(small) % 16,
            edge if edge < 225 => u32::MAX - u32::from(edge - 200),
            edge if edge < 235 => (1 << 31) - u32::from(edge - 225),
            _ => u32::from_be_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        front
    }

    pub fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 40);
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    pub fn optional(&mut self) -> Option<String> {
        (self.byte().is_multiple_of(2)).then(|| self.text())
    }
}
