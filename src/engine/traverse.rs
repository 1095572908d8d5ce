//! Traverses an iterable argument of a method.
//!
//! ext-php-rs never frees the iterators that it opens (a generator would leak). This code therefore
//! uses `zend_object_iterator` directly.

use ext_php_rs::types::{ZendHashTable, ZendIterator, Zval};

use crate::engine::guarded;
use crate::engine::table::{entries, Entries};
use crate::fail::Fail;

extern "C" {
    fn zend_iterator_dtor(iterator: *mut ZendIterator);
}

/// An array, or an open Traversable.
pub enum Traversal<'a> {
    /// The values of an array.
    Array(Entries<'a>),
    /// A generator or any other Traversable.
    Object(Cursor),
}

impl<'a> Traversal<'a> {
    /// Opens `iterable`; `None` if it is not iterable. Runs PHP code.
    ///
    /// # Errors
    /// The Traversable's exception.
    pub fn open(iterable: &'a Zval) -> Result<Option<Self>, Fail> {
        if let Some(array) = iterable.array() {
            return Ok(Some(Self::array(array)));
        }
        if !iterable.is_traversable() {
            return Ok(None);
        }
        Ok(Some(Self::Object(Cursor::open(iterable.shallow_clone())?)))
    }

    fn array(array: &'a ZendHashTable) -> Self {
        Self::Array(entries(array))
    }

    /// The next value, with its own reference: a signal handler may advance a generator, or change
    /// the variable behind a PHP reference. Runs PHP code.
    ///
    /// # Errors
    /// The Traversable's exception.
    pub fn next(&mut self) -> Result<Option<Zval>, Fail> {
        match self {
            Self::Array(entries) => Ok(entries
                .next()
                .map(|(_, value)| value.dereference().shallow_clone())),
            Self::Object(cursor) => cursor.next(),
        }
    }

    /// Ends the traversal. Frees the Traversable, which may run PHP code (`finally`).
    ///
    /// # Errors
    /// That code's exception.
    pub fn close(self) -> Result<(), Fail> {
        match self {
            Self::Array(_) => Ok(()),
            Self::Object(cursor) => cursor.close(),
        }
    }
}

/// An open `zend_object_iterator` and the object that it traverses.
pub struct Cursor {
    iterator: *mut ZendIterator,
    object: Zval,
    started: bool,
}

impl Cursor {
    fn open(mut object: Zval) -> Result<Self, Fail> {
        let iterator = guarded(|| match object.traversable() {
            Some(iterator) => std::ptr::from_mut(iterator),
            None => std::ptr::null_mut(),
        })?;
        if iterator.is_null() {
            return Err(Fail::config("the Traversable cannot be iterated"));
        }
        Ok(Self {
            iterator,
            object,
            started: false,
        })
    }

    fn next(&mut self) -> Result<Option<Zval>, Fail> {
        let (iterator, started) = (self.iterator, self.started);
        self.started = true;
        guarded(|| {
            // SAFETY: the iterator is ours until `close`; the engine calls its functions in the
            // same order for foreach (ZEND_FE_RESET, ZEND_FE_FETCH).
            let iterator = unsafe { &mut *iterator };
            let moved = if started {
                iterator.move_forward()
            } else {
                iterator.rewind()
            };
            if !moved || !iterator.valid() {
                return None;
            }
            // SAFETY: as above; the value is borrowed from the iterator and copied at once.
            unsafe {
                let current = (*iterator.funcs).get_current_data?;
                let value = current(iterator).as_ref()?;
                Some(value.dereference().shallow_clone())
            }
        })
    }

    fn close(self) -> Result<(), Fail> {
        guarded(move || {
            // SAFETY: opened by `open`, freed once.
            unsafe { zend_iterator_dtor(self.iterator) };
            drop(self.object);
        })
    }
}
