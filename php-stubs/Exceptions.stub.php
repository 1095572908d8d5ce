<?php

// Amqp1\Exception: see amqp1.stub.php.

namespace Amqp1\Exception;

/**
 * Implemented by every exception of this extension.
 */
interface ExceptionInterface extends \Throwable
{
}

/**
 * An option, DSN or configuration is wrong. Thrown before anything is sent.
 */
class ConfigException extends \InvalidArgumentException implements ExceptionInterface
{
}

/**
 * The broker cannot be reached, or the connection was lost.
 */
class ConnectionException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker refused the credentials, or access to the entity.
 */
class AuthenticationException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The deadline passed. The outcome is unknown.
 */
class TimeoutException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker refused the job: for example, the queue is full or the message too large.
 */
class RejectedException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * No queue is bound for the routing key.
 */
class UnroutableException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The queue or exchange does not exist.
 */
class QueueNotFoundException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The delivery was lost with its connection or lock, and the job will be delivered again. On Service Bus also thrown
 * if the service did not confirm in time that the job is settled; the message then says that it may be delivered again.
 */
class TaskLostException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker, or the system, does not support what was asked for.
 */
class UnsupportedException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The payload cannot be encoded as JSON, or a body cannot be decoded.
 */
class SerializationException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * Some jobs of a pushMany() were not confirmed. The message contains the first reasons.
 */
class BatchException extends \RuntimeException implements ExceptionInterface
{
    /**
     * Why each job failed, by its index in the order given.
     *
     * @return array<int<0, max>, ExceptionInterface> each with the type that push() would throw
     */
    public function getFailures(): array
    {
    }

    /**
     * The ids of the jobs that the broker has confirmed, by index. Do not send them again.
     *
     * @return array<int<0, max>, non-empty-string>
     */
    public function getConfirmedIds(): array
    {
    }
}
