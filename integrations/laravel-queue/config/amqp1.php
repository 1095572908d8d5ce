<?php

/** The queue connection "amqp1". The application's config/queue.php takes precedence, key by key. */

return [
    'driver' => 'amqp1',
    'dsn' => env('AMQP1_DSN'),
    'queue' => env('AMQP1_QUEUE', 'default'),
    'after_commit' => false,
];
