dnl For PIE, and for phpize && ./configure && make && make install.
dnl There is no C here: make calls cargo, one folder up, and uses its library as modules/amqp1.so.

PHP_ARG_ENABLE([amqp1],
  [whether to enable the amqp1 extension],
  [AS_HELP_STRING([--enable-amqp1], [Enable the amqp1 extension])],
  [yes])

if test "$PHP_AMQP1" != "no"; then
  AC_PATH_PROG([CARGO], [cargo], [no], [$PATH$PATH_SEPARATOR$HOME/.cargo/bin])
  if test "$CARGO" = "no"; then
    AC_MSG_ERROR([cargo is missing. Install Rust 1.88 or newer, from https://rustup.rs or with Debian's package cargo-web])
  fi

  dnl Rust's build needs a path, not a name to look up.
  AC_PATH_PROG([AMQP1_PHP_CONFIG], [$PHP_CONFIG], [$PHP_CONFIG])

  AMQP1_SOURCE=`cd "$srcdir/.." && pwd`
  AMQP1_CARGO_FOLDER=`dirname "$CARGO"`
  PHP_SUBST([AMQP1_CARGO_FOLDER])
  PHP_SUBST([AMQP1_SOURCE])
  PHP_SUBST([AMQP1_PHP_CONFIG])
  PHP_MODULES="$PHP_MODULES \$(phplibdir)/amqp1.so"
  PHP_ADD_BUILD_DIR([modules])
  PHP_ADD_MAKEFILE_FRAGMENT([$srcdir/Makefile.frag], [$srcdir], [$srcdir])
fi
