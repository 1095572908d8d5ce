<?php

/**
 * What the extension amqp1 defines, for editors and static analysis. This file
 * is never loaded beside the extension; tests/ compares it with the extension
 * by reflection.
 *
 * Times are seconds, as int or float. Where an int, float or bool is expected,
 * its usual other spellings are taken as well ("5", 1 for true), as PHP does in
 * weak mode; an int is taken for a string. Anything else is a ConfigException
 * in an array of options, and PHP's own TypeError for a parameter.
 *
 * Every method that blocks runs PHP's signal handlers while it does. A handler
 * may throw: the method returns at once and the exception goes on unchanged.
 *
 * php.ini: amqp1.timeout (30; the default of the option "timeout"),
 * amqp1.shutdown_timeout (2; how long the end of the process may wait for the
 * broker; php.ini only), amqp1.config (path of the default configuration, see Jobs;
 * AMQP1_CONFIG in the environment goes before it).
 */

require __DIR__ . '/Exceptions.stub.php';
require __DIR__ . '/Task.stub.php';
require __DIR__ . '/Consumer.stub.php';
require __DIR__ . '/AmqpQueue.stub.php';
require __DIR__ . '/Jobs.stub.php';
